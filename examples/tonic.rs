//! A generated gRPC client over a channel, with a token for each call. `cargo run --example tonic`

use std::sync::Arc;

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tonic::{
    Request, Status,
    body::Body,
    service::interceptor::InterceptedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials, rejection, testing::AuthorizationServer,
};

/// How many bytes of a call's messages are kept for a second attempt.
const LIMIT: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = Arc::new(AuthorizationServer::start().await?);
    let url = serve(issuer.clone())?;

    let http = Client::builder(TokioExecutor::new()).build_http();
    let tokens =
        ClientCredentials::builder(http, issuer.token_endpoint(), "id", "s3cr3t").build()?;
    let channel = Endpoint::from_shared(url)?.connect_lazy();
    let layer =
        BearerAuthLayer::new(tokens).rejected_when(rejection::grpc).buffered(LIMIT, Body::new);
    let mut client = HealthClient::new(layer.layer(channel));

    for what in ["with a first token", "after its revocation"] {
        let response = client.check(HealthCheckRequest::default()).await?;
        println!("{what}: {:?}", response.into_inner().status());
        issuer.revoke_all();
    }
    let mut watch = client.watch(HealthCheckRequest::default()).await?.into_inner();
    let message = watch.message().await?.ok_or("the stream is at its end")?;
    println!("a stream after another revocation: {:?}", message.status());
    println!("tokens that were issued: {}", issuer.tokens_issued());
    assert_eq!(issuer.tokens_issued(), 3);
    Ok(())
}

/// A server whose interceptor requires a token of this issuer.
fn serve(issuer: Arc<AuthorizationServer>) -> Result<String, BoxError> {
    let (_, health) = tonic_health::server::health_reporter();
    let health = InterceptedService::new(health, move |request: Request<()>| {
        let value = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        match value.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if issuer.is_active(token) => Ok(request),
            _ => Err(Status::unauthenticated("a valid access token is needed")),
        }
    });
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let url = format!("http://{}", incoming.local_addr()?);
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    Ok(url)
}
