//! Hits from 8 tasks on 2 threads while a refresh swaps the token every millisecond.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use criterion::{Criterion, Throughput};
use http::Request;
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

    let tokens = swapped_every_millisecond();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = runtime.spawn({
        let (tokens, stop) = (tokens.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                let token = tokens.token().await.unwrap();
                tokens.reject(&token);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let fixed_header = SetRequestHeaderLayer::overriding(authorization(), fixed(40)).layer(Bare);
    group.bench_function("fixed header", |b| {
        b.iter(|| hits(&runtime, fixed_header.clone()));
    });
    let retry = RetryLayer::new(CloneAndRetry).layer(fixed_header);
    group.bench_function("fixed header under Retry", |b| b.iter(|| hits(&runtime, retry.clone())));
    let layer = BearerAuthLayer::new(tokens);
    let once = layer.clone().no_replay().layer(Bare);
    group.bench_function("BearerAuth, no_replay", |b| b.iter(|| hits(&runtime, once.clone())));
    let replayed = layer.layer(Bare);
    group.bench_function("BearerAuth", |b| b.iter(|| hits(&runtime, replayed.clone())));
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(swapper).unwrap();
    group.finish();
}

/// A new token for each fetch, at once.
fn swapped_every_millisecond() -> TokenCache {
    let issued = std::sync::atomic::AtomicU64::new(0);
    TokenCache::new(fetch_fn(move |_| {
        let n = issued.fetch_add(1, Ordering::Relaxed);
        let token = Token::bearer(&format!("{}{n:08}", access_token(32))).unwrap();
        async move { Ok::<_, BoxError>(token.expires_in(Duration::MAX)) }
    }))
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
                    for _ in 0..HITS {
                        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                        let _ = service.call(request(8)).await.unwrap();
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
