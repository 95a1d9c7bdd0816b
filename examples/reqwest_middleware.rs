//! The layer as a middleware of reqwest. `cargo run --example reqwest_middleware`

use http::StatusCode;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use reqwest_middleware::ClientBuilder;
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials, NotReplayed,
    testing::{AuthorizationServer, ProtectedApi},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = AuthorizationServer::start().await?;
    let api = ProtectedApi::start(&issuer).await?;

    // The token requests may be sent by any tower HTTP client. `examples/reqwest.rs` makes one of reqwest.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let tokens =
        ClientCredentials::builder(http, issuer.token_endpoint(), "id", "s3cr3t").build()?;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(BearerAuthLayer::new(tokens).only_for([api.url("")])?)
        .build();

    let response = client.get(api.url("/orders")).send().await?;
    println!("with a first token: {}", response.status());
    assert_eq!(response.status(), StatusCode::OK);

    issuer.revoke_all();
    let response = client.post(api.url("/orders")).body("an order").send().await?;
    println!("after its revocation: {}", response.status());
    assert_eq!(response.text().await?, "an order");

    issuer.revoke_all();
    let stream = reqwest::Body::wrap(Full::new(bytes::Bytes::from("a stream")));
    let response = client.post(api.url("/orders")).body(stream).send().await?;
    println!("a stream after a revocation: {}", response.status());
    if let Some(why) = response.extensions().get::<NotReplayed>() {
        println!("{why}");
    }
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    let response = client.get(api.url("/orders")).send().await?;
    println!("the request after it: {}", response.status());
    assert_eq!(response.status(), StatusCode::OK);
    Ok(())
}
