//! A server that passes on what it gets, with a token of its own.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, NotReplayed,
    replay::{Buffered, ReplayBody},
};

use super::World;

const LIMIT: usize = 64 * 1024;

type Http = Client<HttpConnector, Body>;
type Upstream = BearerAuth<Http, Buffered<fn(ReplayBody<Body>) -> Body>>;

/// What the handlers share.
#[derive(Clone)]
struct Proxy {
    client: Upstream,
    upstream: String,
}

async fn pass_on(State(proxy): State<Proxy>, mut request: Request) -> Response {
    *request.uri_mut() = format!("{}{}", proxy.upstream, request.uri()).parse().unwrap();
    request.headers_mut().remove(header::HOST);
    match proxy.client.oneshot(request).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            if let Some(why) = head.extensions.get::<NotReplayed>() {
                head.headers.insert("x-not-replayed", why.to_string().parse().unwrap());
            }
            Response::from_parts(head, Body::new(body))
        }
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The proxy's address.
async fn start(layer: BearerAuthLayer, upstream: String) -> SocketAddr {
    let wrap: fn(ReplayBody<Body>) -> Body = Body::new;
    let proxy = Proxy { client: layer.buffered(LIMIT, wrap).layer(http()), upstream };
    let router = Router::new().route("/{*path}", any(pass_on)).with_state(proxy);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn post(proxy: SocketAddr, body: Body) -> Request {
    Request::post(format!("http://{proxy}/orders?page=2")).body(body).unwrap()
}

/// A body that does not say how long it is.
fn chunks(chunk: &'static [u8], count: usize, pulled: &Arc<AtomicUsize>) -> Body {
    let pulled = pulled.clone();
    Body::new(StreamBody::new(tokio_stream::iter((0..count).map(move |_| {
        pulled.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(chunk)))
    }))))
}

async fn text(response: http::Response<hyper::body::Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_streamed_body_is_resent_after_a_revocation() {
    let world = World::new().await;
    let proxy = start(BearerAuthLayer::new(world.tokens()), world.api.url("")).await;
    let pulled = Arc::default();
    for _ in 0..2 {
        let response = http().request(post(proxy, chunks(b"order ", 3, &pulled))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "order order order ");
        world.issuer.revoke_all();
    }
    assert_eq!(world.bodies(), ["order order order "; 3]);
    assert!(world.api.requests().iter().all(|request| request.uri == "/orders?page=2"));
    assert_eq!(world.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_body_over_the_limit_is_passed_on_whole_but_once() {
    const CHUNK: &[u8] = &[b'x'; 1024];
    let world = World::new().await;
    let proxy = start(BearerAuthLayer::new(world.tokens()), world.api.url("")).await;
    let pulled = Arc::default();
    let response = http().request(post(proxy, chunks(CHUNK, 1000, &pulled))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await.len(), 1000 * CHUNK.len());

    world.issuer.revoke_all();
    let response = http().request(post(proxy, chunks(CHUNK, 1000, &pulled))).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key("x-not-replayed"));
    assert_eq!(world.bodies().len(), 2);
}

#[tokio::test]
async fn the_callers_authorization_reaches_the_upstream() {
    let world = World::new().await;
    let layer = BearerAuthLayer::new(world.tokens());
    for layer in [layer.clone(), layer.overwrite()] {
        let proxy = start(layer, world.api.url("")).await;
        let mut request = post(proxy, Body::empty());
        request.headers_mut().insert(header::AUTHORIZATION, "Bearer callers".parse().unwrap());
        http().request(request).await.unwrap();
    }
    let seen = world.api.requests();
    assert_eq!(seen[0].bearer(), Some("callers"));
    assert!(world.issuer.is_active(seen[1].bearer().unwrap()));
}

/// Comes back when the number no longer changes.
async fn settled(count: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = count.load(Ordering::Relaxed);
        if now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_the_sender_back() {
    const CHUNK: &[u8] = &[b'x'; 64 * 1024];
    const COUNT: usize = 2048;
    let world = World::new().await;
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let proxy = start(BearerAuthLayer::new(world.tokens()), url).await;
    let pulled = Arc::new(AtomicUsize::new(0));
    let request = post(proxy, chunks(CHUNK, COUNT, &pulled));
    let sender = tokio::spawn(async move { http().request(request).await.unwrap().status() });

    let (mut connection, _) = upstream.accept().await.unwrap();
    let stalled = settled(&pulled).await;
    assert!(stalled < COUNT / 2, "{stalled} of {COUNT} chunks were taken");

    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let n = tokio::io::AsyncReadExt::read(&mut connection, &mut buffer).await.unwrap();
        if buffer[..n].ends_with(b"0\r\n\r\n") {
            break;
        }
        assert_ne!(n, 0);
    }
    assert_eq!(pulled.load(Ordering::Relaxed), COUNT);
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut connection, answer).await.unwrap();
    assert_eq!(sender.await.unwrap(), StatusCode::NO_CONTENT);
}
