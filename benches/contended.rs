//! Hits from 8 tasks on 2 threads while a refresh swaps the token every millisecond.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use http::{Request, header::AUTHORIZATION};
use tokio::runtime::Runtime;
use tower::{Layer, Service, retry::RetryLayer};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, fetch_fn};
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

const TASKS: u64 = 8;
const HITS: u64 = 2000;

fn contended(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut group = c.benchmark_group("contended: 2 threads, 8 tasks");
    group.throughput(Throughput::Elements(TASKS * HITS));
    group.sample_size(40);

    let fixed_header = SetRequestHeaderLayer::overriding(AUTHORIZATION, fixed(40)).layer(Bare);
    let retry = RetryLayer::new(CloneAndRetry).layer(fixed_header.clone());
    let layer = BearerAuthLayer::new(renewed_every_millisecond());
    let once = layer.clone().no_replay().layer(Bare);
    let replayed = layer.layer(Bare);
    bench(&mut group, &runtime, "fixed header", fixed_header);
    bench(&mut group, &runtime, "fixed header under Retry", retry);
    bench(&mut group, &runtime, "BearerAuth, no_replay", once);
    bench(&mut group, &runtime, "BearerAuth", replayed);
    group.finish();
}

/// A refresh runs behind the hits from 80 % of a token's lifetime on, and takes no time.
fn renewed_every_millisecond() -> TokenCache {
    let issued = AtomicU64::new(0);
    TokenCache::new(fetch_fn(move |_| {
        let n = issued.fetch_add(1, Ordering::Relaxed);
        let token = Token::bearer(&format!("{}{n:08}", access_token(32))).unwrap();
        async move { Ok::<_, BoxError>(token.expires_in(Duration::from_micros(1250))) }
    }))
}

fn bench<S>(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, name: &str, service: S)
where
    S: Service<Request<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
{
    group.bench_function(name, |b| b.iter(|| hits(runtime, service.clone())));
}

fn hits<S>(runtime: &Runtime, service: S)
where
    S: Service<Request<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
{
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let mut service = service.clone();
                tokio::spawn(async move {
                    for n in 0..HITS {
                        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                        let _ = service.call(request(8)).await.unwrap();
                        if n % 10 == 0 {
                            // As a request that goes somewhere does, so that a refresh has its turn.
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("contended", contended)
}
