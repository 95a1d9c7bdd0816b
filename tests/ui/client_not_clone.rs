//! An inner service that is not `Clone`.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, util::BoxService};
use tower_bearer::{BearerAuthLayer, BoxError, Token, fetch_fn};

type Client = BoxService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

fn wrap(client: Client) {
    let tokens = fetch_fn(async |_| Token::bearer("abc"));
    let client = BearerAuthLayer::new(tokens).layer(client);
    takes_client(client);
}

fn takes_client(_: impl Service<Request<Full<Bytes>>>) {}

fn main() {
    let _ = wrap;
}
