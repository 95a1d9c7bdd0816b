use hyper_util::{client::legacy::Client as Hyper, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use tower::buffer::BufferLayer;
use tower_bearer::{BearerAuthLayer, TokenCache};

/// Around kube's own stack, with its TLS, its retries and its spans.
pub fn client(config: Config, tokens: TokenCache) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?
        // That stack is not `Clone`. A buffer around it is.
        .with_layer(&BufferLayer::new(1024))
        .with_layer(&BearerAuthLayer::new(tokens).try_clone(Body::try_clone))
        .build())
}

/// In a stack of your own, where the layer sees the whole URI and checks it.
pub fn checked_client(config: Config, tokens: TokenCache) -> kube::Result<Client> {
    // With TLS: `.build(config.rustls_https_connector()?)`.
    let http = Hyper::builder(TokioExecutor::new()).build_http();
    Ok(ClientBuilder::new(http, config.default_namespace.clone())
        .with_layer(&config.extra_headers_layer()?)
        .with_layer(&BearerAuthLayer::new(tokens).try_clone(Body::try_clone))
        .with_layer(&config.base_uri_layer())
        .build())
}
