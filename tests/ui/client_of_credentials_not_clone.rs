//! An HTTP client for token requests that is not `Clone`.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxService;
use tower_bearer::{BoxError, ClientCredentials, TokenCache};

type Client = BoxService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

fn cache(credentials: ClientCredentials<Client>) -> TokenCache {
    TokenCache::new(credentials)
}

fn main() {
    let _ = cache;
}
