//! reqwest as a tower service, for the requests and for the token requests.
//! `cargo run --example reqwest`
//!
//! The example `reqwest_middleware` needs less code. This one can be combined with tower's other layers.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials,
    testing::{AuthorizationServer, ProtectedApi},
};

/// A tower service that sends requests of the `http` crate with reqwest.
fn over<B>(
    client: reqwest::Client,
) -> impl Service<
    Request<B>,
    Response = Response<reqwest::Body>,
    Error = reqwest::Error,
    Future: Future + Send,
> + Clone
+ Send
+ Sync
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
{
    service_fn(move |request: Request<B>| {
        let client = client.clone();
        async move {
            let request = request.map(reqwest::Body::wrap).try_into()?;
            Ok(client.execute(request).await?.into())
        }
    })
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = AuthorizationServer::start().await?;
    let api = ProtectedApi::start(&issuer).await?;

    // Redirects of a token endpoint must not be followed: they could carry the secret elsewhere.
    let direct = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let tokens = ClientCredentials::builder(over(direct), issuer.token_endpoint(), "id", "s3cr3t")
        .build()?;
    let layer = BearerAuthLayer::new(tokens).only_for([api.url("")])?;
    let mut client = layer.layer(over(reqwest::Client::new()));

    for what in ["with a first token", "after its revocation"] {
        let order = Full::new(Bytes::from("an order"));
        let request = Request::post(api.url("/orders")).body(order)?;
        let response = client.ready().await?.call(request).await?;
        println!("{what}: {}", response.status());
        assert_eq!(response.status(), StatusCode::OK);
        issuer.revoke_all();
    }
    println!("requests that the API got: {}", api.requests().len());
    assert_eq!(api.requests().len(), 3);
    Ok(())
}
