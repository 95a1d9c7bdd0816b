//! A server that forwards requests to another server, with a token of its own. `cargo run --example axum_proxy`

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header},
    response::Response,
    routing::any,
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, ClientCredentials,
    replay::{Buffered, ReplayBody},
    testing::{AuthorizationServer, ProtectedApi},
};

/// How many bytes of a body are kept for a second attempt. A larger body is sent once.
const LIMIT: usize = 64 * 1024;

type Authorized = BearerAuth<Client<HttpConnector, Body>, Buffered<fn(ReplayBody<Body>) -> Body>>;

/// The client that the handlers share. Its clones share the connections and the token.
#[derive(Clone)]
struct Upstream {
    client: Authorized,
    origin: String,
}

async fn pass_on(
    State(mut upstream): State<Upstream>,
    mut request: Request,
) -> Result<Response, StatusCode> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri =
        format!("{}{path}", upstream.origin).parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.uri_mut() = uri;
    request.headers_mut().remove(header::HOST);
    let client = upstream.client.ready().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    match client.call(request).await {
        Ok(response) => Ok(response.map(Body::new)),
        Err(_) => Err(StatusCode::BAD_GATEWAY),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = AuthorizationServer::start().await?;
    let api = ProtectedApi::start(&issuer).await?;

    let tokens = ClientCredentials::builder(
        Client::builder(TokioExecutor::new()).build_http(),
        issuer.token_endpoint(),
        "id",
        "s3cr3t",
    );
    let wrap: fn(ReplayBody<Body>) -> Body = Body::new;
    let layer = BearerAuthLayer::new(tokens.build()?)
        // The callers' credentials are for this server, not for the upstream.
        .overwrite()
        .buffered(LIMIT, wrap);
    let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let upstream = Upstream { client: layer.layer(http.clone()), origin: api.url("") };

    let router = Router::new().route("/{*path}", any(pass_on)).with_state(upstream);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });

    for what in ["with a first token", "after its revocation"] {
        let request = Request::post(format!("http://{proxy}/orders"))
            .header(header::AUTHORIZATION, "Bearer for-the-proxy")
            .body(Body::from("an order"))?;
        let response = http.request(request).await?;
        println!("{what}: {}", response.status());
        assert_eq!(response.into_body().collect().await?.to_bytes(), "an order");
        issuer.revoke_all();
    }
    println!("requests that the upstream got: {}", api.requests().len());
    assert_eq!(api.requests().len(), 3);
    assert!(api.requests().iter().all(|request| request.bearer() != Some("for-the-proxy")));
    Ok(())
}
