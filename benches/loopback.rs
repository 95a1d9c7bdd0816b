//! hyper to hyper over loopback: a token that the request has already, a fixed one, and the layer.

#![expect(missing_docs, reason = "criterion's macros make a public function")]

#[path = "support/mod.rs"]
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, request::Builder};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials,
    testing::{AuthorizationServer, ProtectedApi},
};
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

const REQUESTS: u64 = 200;

fn loopback(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let issuer = runtime.block_on(AuthorizationServer::start()).unwrap();
    issuer.token_lifetime(std::time::Duration::from_secs(86_400));
    let api = runtime.block_on(ProtectedApi::start(&issuer)).unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let credentials =
        ClientCredentials::builder(http.clone(), issuer.token_endpoint(), "id", "secret")
            .build()
            .unwrap();
    let layer = BearerAuthLayer::new(credentials);
    let tokens = layer.clone().layer(http.clone());
    let url = api.url("/orders");
    runtime.block_on(requests(tokens.clone(), || Request::get(&url), 1)).unwrap();
    let token = api.requests()[0].headers[authorization()].clone();

    let mut group = c.benchmark_group("loopback: hyper to hyper");
    group.throughput(Throughput::Elements(REQUESTS));
    group.sample_size(40);
    let with_token = || Request::get(&url).header(authorization(), &token);
    let fixed_header = SetRequestHeaderLayer::overriding(authorization(), token.clone());
    bench(&mut group, &runtime, "bare", http.clone(), with_token);
    bench(&mut group, &runtime, "fixed header", fixed_header.layer(http), || Request::get(&url));
    bench(&mut group, &runtime, "BearerAuth", tokens, || Request::get(&url));
    group.finish();
}

fn bench<S, RB>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    runtime: &Runtime,
    name: &str,
    client: S,
    head: impl Fn() -> Builder,
) where
    S: Service<Request<Body>, Response = http::Response<RB>> + Clone,
    S::Error: Into<BoxError>,
    RB: http_body::Body,
    RB::Error: Into<BoxError>,
{
    group.bench_function(name, |b| {
        b.iter(|| runtime.block_on(requests(client.clone(), &head, REQUESTS)).unwrap());
    });
}

async fn requests<S, RB>(
    mut client: S,
    head: impl Fn() -> Builder,
    count: u64,
) -> Result<(), BoxError>
where
    S: Service<Request<Body>, Response = http::Response<RB>>,
    S::Error: Into<BoxError>,
    RB: http_body::Body,
    RB::Error: Into<BoxError>,
{
    for _ in 0..count {
        let request = head().body(Body::default())?;
        let client = client.ready().await.map_err(Into::into)?;
        let response = client.call(request).await.map_err(Into::into)?;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.map_err(Into::into)?;
    }
    Ok(())
}

criterion_group!(benches, loopback);
criterion_main!(benches);
