//! What a request costs while the token is good, against what one could put there by hand.

#![expect(missing_docs, reason = "criterion's macros make a public function")]

#[path = "support/mod.rs"]
mod support;

use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main,
    measurement::WallTime,
};
use http::Request;
use tower::{Layer, Service, ServiceBuilder, retry::RetryLayer};
use tower_bearer::BearerAuthLayer;
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

fn hit(c: &mut Criterion) {
    for headers in [0, 8] {
        for (name, length) in TOKENS {
            let mut group = c.benchmark_group(format!("hit: {headers} headers, {name}"));
            group.sample_size(60);
            contestant(&mut group, headers, "bare", Bare);
            let fixed_header = || SetRequestHeaderLayer::overriding(authorization(), fixed(length));
            contestant(&mut group, headers, "fixed header", fixed_header().layer(Bare));
            let retry = ServiceBuilder::new()
                .layer(RetryLayer::new(CloneAndRetry))
                .layer(fixed_header())
                .service(Bare);
            contestant(&mut group, headers, "fixed header under Retry", retry);
            let layer = BearerAuthLayer::new(cached(length));
            contestant(&mut group, headers, "BearerAuth", layer.clone().layer(Bare));
            let once = layer.no_replay().layer(Bare);
            contestant(&mut group, headers, "BearerAuth, no_replay", once);
            group.finish();
        }
    }
}

fn contestant<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    headers: usize,
    name: &str,
    mut service: S,
) where
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter_batched(
            || request(headers),
            |request| call(&mut service, request),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, hit);
criterion_main!(benches);
