//! Hits from 8 tasks on 2 threads: while a refresh swaps the token every millisecond, and with an
//! instance that all tasks share against one for each task.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/sharing.rs"]
mod sharing;
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

use sharing::{HITS, Pair, TASKS, hits, runtime, show};
use support::*;

fn contended(c: &mut Criterion) {
    let runtime = runtime();
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

/// What it costs that the tasks share an instance: where they write to the same memory, more with
/// every core. All contestants take turns, as two threads are at times faster than at others for
/// seconds on end, whatever they do.
fn shared() {
    let runtime = runtime();
    let fixed_header = || SetRequestHeaderLayer::overriding(AUTHORIZATION, fixed(40)).layer(Bare);
    let retry = || RetryLayer::new(CloneAndRetry).layer(fixed_header());
    let layer = || BearerAuthLayer::new(cached(40));
    let mut pairs = [
        Pair::of("bare", || Bare),
        Pair::of("fixed header", fixed_header),
        Pair::of("fixed header under Retry", retry),
        Pair::of("BearerAuth, no_replay", || layer().no_replay().layer(Bare)),
        Pair::of("BearerAuth", || layer().layer(Bare)),
    ];
    show(&mut pairs, &runtime);
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
    let services = vec![service; TASKS as usize];
    group.bench_function(name, |b| b.iter(|| hits(runtime, services.clone(), || request(8))));
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("contended", contended)?;
    if ratios::are_measured() {
        shared();
    }
    Ok(())
}
