//! Sends one request through the HTTP client and collects the response.

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

/// The body of a response, as far as it could be read.
pub(crate) enum CollectedBody {
    Complete(Bytes),
    TooLarge,
    Broken(BoxError),
}

/// Sends one request and reads its answer, up to `limit` bytes of the body.
pub(crate) async fn send<C, RB>(
    mut client: C,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<CollectedBody>, BoxError>
where
    C: Service<Request<Full<Bytes>>, Response = Response<RB>>,
    C::Error: Into<BoxError>,
    RB: Body,
    RB::Error: Into<BoxError>,
{
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(Into::into)?;
    let response = client.call(request).await.map_err(Into::into)?;
    let (head, body) = response.into_parts();
    let content = match Limited::new(body, limit).collect().await {
        Ok(body) => CollectedBody::Complete(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => CollectedBody::TooLarge,
        Err(error) => CollectedBody::Broken(error),
    };
    Ok(Response::from_parts(head, content))
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
