//! What a request costs while the token is good, against what one could put there by hand.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::error::Error;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, measurement::WallTime};
use http::Request;
use tower::Service;

use support::*;

struct Timed<'a>(BenchmarkGroup<'a, WallTime>);

impl Visitor for Timed<'_> {
    fn visit<S, B>(&mut self, name: &str, mut service: S, request: impl Fn() -> Request<B>)
    where
        S: Service<Request<B>>,
        S::Error: std::fmt::Debug,
    {
        self.0.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_batched(&request, |request| call(&mut service, request), BatchSize::SmallInput);
        });
    }
}

fn hit(c: &mut Criterion) {
    for headers in [0, 8] {
        for (name, length) in TOKENS {
            let group = c.benchmark_group(format!("hit: {headers} headers, {name}"));
            let mut timed = Timed(group);
            contestants(headers, length, &mut timed);
            timed.0.finish();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("hit", hit)
}
