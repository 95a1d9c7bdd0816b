use http::Uri;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder, service::middleware::base_uri::BaseUriLayer,
};
use tower_bearer::{BearerAuthLayer, TokenCache};

pub fn client(api: Uri, tokens: TokenCache) -> Octocrab {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let Ok(client) = OctocrabBuilder::new_empty()
        .with_service(http)
        .with_layer(&BearerAuthLayer::new(tokens).buffered(64 * 1024, OctoBody::new))
        .with_layer(&BaseUriLayer::new(api))
        .with_auth(AuthState::None)
        .build();
    client
}
