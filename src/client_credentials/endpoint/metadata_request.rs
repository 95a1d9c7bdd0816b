//! The request for an issuer's metadata (RFC 8414 section 3.1).

use std::time::SystemTime;

use http::{HeaderValue, Request, StatusCode, header::ACCEPT};
use http_body_util::Full;

use super::{issuer::Issuer, metadata::Metadata, url::EndpointUrl};
use crate::{
    client_credentials::{
        message::{CollectedBody, HttpClient, transport_error},
        response::{is_transient, with_retry_after},
    },
    error::{BoxError, Kind, TokenError},
    secret::Redactor,
};

/// Reads the metadata, from the first of its places that has it.
pub(super) async fn read<C: HttpClient>(
    issuer: &Issuer,
    client: impl Fn() -> C,
    limit: usize,
) -> Result<Metadata, TokenError> {
    let mut failures = Vec::new();
    for url in issuer.metadata() {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = url.uri_with("")?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = client().exchange(request, limit).await;
        let (head, content) = answer.map_err(|error| unreachable(url, error))?.into_parts();
        let failure = match content {
            CollectedBody::TooLarge => too_large(url),
            CollectedBody::Broken(error) => unreachable(url, error),
            CollectedBody::Complete(body) if head.status == StatusCode::OK => {
                match Metadata::read(&body) {
                    Some(metadata) => return Ok(metadata),
                    None => not_metadata(url),
                }
            }
            CollectedBody::Complete(_) => no_metadata(url, head.status),
        };
        failures.push(with_retry_after(failure, &head.headers, SystemTime::now()));
    }
    // What may be gone at the next attempt says more than that the other place has nothing.
    let telling = failures.iter().position(TokenError::is_transient).unwrap_or_default();
    Err(failures.swap_remove(telling))
}

fn unreachable(url: &EndpointUrl, error: BoxError) -> TokenError {
    let message = format!(
        "the issuer's metadata could not be read from {url}, check the issuer and that it can be \
         reached"
    );
    transport_error(url, message, error, &Redactor::default())
}

fn no_metadata(url: &EndpointUrl, status: StatusCode) -> TokenError {
    let message = format!(
        "the issuer has no metadata at {url} ({status}), check the issuer or name the token \
         endpoint instead"
    );
    TokenError::new(Kind::Answer, message).with_answer(status, is_transient(status, None))
}

fn not_metadata(url: &EndpointUrl) -> TokenError {
    let message = format!(
        "what is at {url} is not the metadata of an issuer, check the issuer or name the token \
         endpoint instead"
    );
    TokenError::new(Kind::Malformed, message).with_answer(StatusCode::OK, false)
}

fn too_large(url: &EndpointUrl) -> TokenError {
    let message = format!(
        "the issuer's metadata at {url} is larger than the limit, check the issuer or raise \
         `response_limit`"
    );
    TokenError::new(Kind::TooLarge, message)
}
