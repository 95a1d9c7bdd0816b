//! hyper to hyper over loopback: a token that the request has already, a fixed one, and the layer.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::{convert::Infallible, error::Error, net::Ipv4Addr};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use http::{Request, Response, header::AUTHORIZATION, request::Builder};
use http_body_util::BodyExt;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tower::{Layer, Service, ServiceExt, retry::RetryLayer};
use tower_bearer::{BearerAuthLayer, BoxError};
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

const REQUESTS: u64 = 200;

fn loopback(c: &mut Criterion) {
    // All on one thread: who is woken on which is not what is compared.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(serve());
    let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let fixed_header =
        SetRequestHeaderLayer::overriding(AUTHORIZATION, fixed(40)).layer(http.clone());
    let retry = RetryLayer::new(CloneAndRetry).layer(fixed_header.clone());
    let layer = BearerAuthLayer::new(cached(40));
    let once = layer.clone().no_replay().layer(http.clone());
    let replayed = layer.layer(http.clone());

    let mut group = c.benchmark_group("loopback: hyper to hyper");
    group.throughput(Throughput::Elements(REQUESTS));
    let token = fixed(40);
    let with_token = || Request::get(&url).header(AUTHORIZATION, &token);
    let without = || Request::get(&url);
    bench(&mut group, &runtime, "bare", http, with_token);
    bench(&mut group, &runtime, "fixed header", fixed_header, without);
    bench(&mut group, &runtime, "fixed header under Retry", retry, without);
    bench(&mut group, &runtime, "BearerAuth", replayed, without);
    bench(&mut group, &runtime, "BearerAuth, no_replay", once, without);
    group.finish();
}

/// An API that answers at once to what has a token.
async fn serve() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(async |request: Request<hyper::body::Incoming>| {
                let status = if request.headers().contains_key(AUTHORIZATION) { 200 } else { 401 };
                Ok::<_, Infallible>(
                    Response::builder().status(status).body(Body::from("{}")).unwrap(),
                )
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    url
}

fn bench<S, RB>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    client: S,
    head: impl Fn() -> Builder,
) where
    S: Service<Request<Body>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
    RB: http_body::Body,
    RB::Error: Into<BoxError>,
{
    group.bench_function(name, |b| {
        b.iter(|| runtime.block_on(requests(client.clone(), &head)).unwrap());
    });
}

async fn requests<S, RB>(mut client: S, head: impl Fn() -> Builder) -> Result<(), BoxError>
where
    S: Service<Request<Body>, Response = Response<RB>>,
    S::Error: Into<BoxError>,
    RB: http_body::Body,
    RB::Error: Into<BoxError>,
{
    for _ in 0..REQUESTS {
        let request = head().body(Body::default())?;
        let client = client.ready().await.map_err(Into::into)?;
        let response = client.call(request).await.map_err(Into::into)?;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.map_err(Into::into)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("loopback", loopback)
}
