use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower_service::Service;

use crate::{
    client_credentials::{
        endpoint::Endpoint,
        redaction::{Redactor, causes},
    },
    error::{BoxError, Kind, TokenError},
};

/// What came of an answer's body.
pub(crate) enum Content {
    Complete(Bytes),
    TooLarge,
    Broken(BoxError),
}

/// Sends one request and reads its answer, up to `limit` bytes of the body.
pub(crate) async fn exchange<C, RB>(
    mut client: C,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<Content>, BoxError>
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
        Ok(body) => Content::Complete(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Content::TooLarge,
        Err(error) => Content::Broken(error),
    };
    Ok(Response::from_parts(head, content))
}

/// What an error of the HTTP client is told as: by the message, unless the client wanted a token
/// for the request and has none.
pub(crate) fn unanswered(
    url: &Endpoint,
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
