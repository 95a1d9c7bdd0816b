//! A plain reqwest client as a tower service, for the requests and for the token requests.
//! `cargo run --example reqwest`
//!
//! The example `reqwest_middleware` keeps reqwest's own way to make requests. This one can be combined with
//! tower's other layers.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use reqwest::redirect::Policy;
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials, ReqwestClient,
    testing::{AuthorizationServer, ProtectedApi},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = AuthorizationServer::start().await?;
    let api = ProtectedApi::start(&issuer).await?;

    // Redirects of a token endpoint must not be followed: they could carry the secret elsewhere.
    let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
    let http = ReqwestClient::new(http);
    let tokens = ClientCredentials::builder(http.clone(), issuer.token_endpoint(), "id", "s3cr3t")
        .build()?;
    let layer = BearerAuthLayer::new(tokens).only_for([api.url("")])?;
    let mut client = layer.layer(http);

    for what in ["with a first token", "after its revocation"] {
        let order = Full::new(Bytes::from("an order"));
        let request = Request::post(api.url("/orders")).body(order)?;
        let response = client.ready().await?.call(request).await?;
        println!("{what}: {}", response.status());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(reqwest::Response::from(response).text().await?, "an order");
        issuer.revoke_all();
    }
    println!("requests that the API got: {}", api.requests().len());
    assert_eq!(api.requests().len(), 3);
    Ok(())
}
