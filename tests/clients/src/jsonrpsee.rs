use jsonrpsee_core::{
    client::{ClientT, Error},
    http_helpers::HttpError,
};
use jsonrpsee_http_client::{HttpBody, HttpClientBuilder, transport::Error as TransportError};
use tower::ServiceBuilder;
use tower_bearer::{BearerAuthLayer, BoxError, TokenCache};

pub fn client(url: &str, tokens: TokenCache) -> Result<impl ClientT + Clone + use<>, Error> {
    let middleware = ServiceBuilder::new()
        // jsonrpsee takes no other error than its own.
        .map_err(|error: BoxError| match error.downcast() {
            Ok(error) => *error,
            Err(error) => TransportError::Http(HttpError::Stream(error)),
        })
        .layer(BearerAuthLayer::new(tokens).buffered(64 * 1024, HttpBody::new));
    HttpClientBuilder::new().set_http_middleware(middleware).build(url)
}
