//! `HttpClient`: what a token request is sent through, and the response as far as it could be read.

use std::{fmt, future::poll_fn};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower_service::Service;

use crate::{
    error::{BoxError, Kind, TokenError},
    secret::{Redactor, causes},
};

/// A tower HTTP client that token requests can be sent through.
///
/// It is the bound to write in code that is generic over the client of
/// [`ClientCredentials`](crate::ClientCredentials). It stands for a [`Service`] of `Request<Full<Bytes>>` that is
/// `Clone`, `Send` and `'static`, with a future and a response body that are `Send`. Each such service is one, and
/// nothing else can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no HTTP client that token requests can be sent through",
    label = "no tower HTTP client for `Request<Full<Bytes>>`",
    note = "it has to be a `Service` of `http::Request<http_body_util::Full<bytes::Bytes>>` that is `Clone`, `Send` \
            and `'static`, with a future and a response body that are `Send`",
    note = "wrap a `reqwest::Client` in a `ReqwestClient`, and what is not `Clone` in a `tower::buffer::Buffer`"
)]
pub trait HttpClient: Exchange {}

/// The body of a response, as far as it could be read.
#[derive(Debug)]
pub enum CollectedBody {
    Complete(Bytes),
    TooLarge,
    Broken(BoxError),
}

/// Seals [`HttpClient`], and is how it is used.
pub trait Exchange: Clone + Send + 'static {
    /// Sends one request and reads its response, up to `limit` bytes of the body.
    fn exchange(
        self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> impl Future<Output = Result<Response<CollectedBody>, BoxError>> + Send;
}

#[diagnostic::do_not_recommend]
impl<C: Exchange> HttpClient for C {}

#[diagnostic::do_not_recommend]
impl<C, RB> Exchange for C
where
    C: Service<Request<Full<Bytes>>, Response = Response<RB>> + Clone + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send,
    RB: Body + Send,
    RB::Data: Send,
    RB::Error: Into<BoxError>,
{
    async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response<CollectedBody>, BoxError> {
        poll_fn(|cx| self.poll_ready(cx)).await.map_err(Into::into)?;
        let response = self.call(request).await.map_err(Into::into)?;
        let (head, body) = response.into_parts();
        let content = match Limited::new(body, limit).collect().await {
            Ok(body) => CollectedBody::Complete(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => CollectedBody::TooLarge,
            Err(error) => CollectedBody::Broken(error),
        };
        Ok(Response::from_parts(head, content))
    }
}

/// The error for a request that has no response: with this message, unless the HTTP client itself
/// wanted a token for the request and has none.
pub(crate) fn transport_error(
    url: &impl fmt::Display,
    message: String,
    error: BoxError,
    redactor: &Redactor,
) -> TokenError {
    let ours = causes(&*error).find_map(|error| error.downcast_ref::<TokenError>()).cloned();
    let error = redactor.redact_error(error);
    let Some(ours) = ours else {
        return TokenError::new(Kind::Fetch, message).with_source(error).transient();
    };
    let message = format!(
        "the HTTP client has no token of its own to send to {url}, \
         pass one without `BearerAuthLayer` or mend what its error says"
    );
    ours.retold(message).with_source(error)
}
