//! reqwest as a tower service, for the requests and for the tokens. `cargo run --example reqwest`
//!
//! With `reqwest_middleware` it is less to write: see the example of that name. This way is for
//! those who want tower's other layers too.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials,
    testing::{AuthorizationServer, ProtectedApi},
};

/// reqwest as a client for requests of the `http` crate.
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

    // The redirects of a token endpoint are not to be followed.
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
