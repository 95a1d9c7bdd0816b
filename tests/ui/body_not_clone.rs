//! A body that is not `Clone`, and the default policy.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use tower::{Layer, Service, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, Token, fetch_fn};

fn main() {
    let tokens = fetch_fn(async |_| Token::bearer("abc"));
    let client = service_fn(async |_: Request<BoxBody<Bytes, BoxError>>| {
        Ok::<_, BoxError>(Response::new(()))
    });
    let client = BearerAuthLayer::new(tokens).layer(client);
    takes_client(client);
}

fn takes_client(_: impl Service<Request<BoxBody<Bytes, BoxError>>>) {}
