//! Hits from 8 tasks on 2 threads: while a refresh swaps the token every millisecond, and with an
//! instance that all tasks share against one for each task.

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
use tokio::{runtime::Runtime, time::Instant};
use tower::{Layer, Service, retry::RetryLayer};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, fetch_fn};
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

const TASKS: u64 = 8;
const HITS: u64 = 2000;
const ROUNDS: usize = 200;

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
    for _ in 0..ROUNDS {
        for pair in &mut pairs {
            pair.measure(&runtime);
        }
    }
    println!("\n{:36} {:>9} {:>9}", "million hits a second", "one each", "one for all");
    for Pair { name, own, shared, .. } in &mut pairs {
        let [own, shared] = [own, shared].map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!("  {name:36} {own:7.2} {shared:9.2}   one each / one for all {:.2}", own / shared);
    }
}

/// An instance for each task, and one that all share.
struct Pair {
    name: &'static str,
    run: Box<Run>,
    own: Vec<f64>,
    shared: Vec<f64>,
}

/// How long the hits take, with an instance for each task and with one for all.
type Run = dyn Fn(&Runtime) -> [Duration; 2];

impl Pair {
    fn of<S>(name: &'static str, service: impl Fn() -> S) -> Self
    where
        S: Service<Request<Body>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: std::fmt::Debug,
    {
        let own: Vec<_> = (0..TASKS).map(|_| service()).collect();
        let shared = vec![service(); own.len()];
        let run = move |runtime: &Runtime| {
            [&own, &shared].map(|services| {
                let started = Instant::now();
                hits(runtime, services.clone());
                started.elapsed()
            })
        };
        Self { name, run: Box::new(run), own: Vec::new(), shared: Vec::new() }
    }

    fn measure(&mut self, runtime: &Runtime) {
        let [own, shared] =
            (self.run)(runtime).map(|took| (TASKS * HITS) as f64 / took.as_secs_f64() / 1e6);
        self.own.push(own);
        self.shared.push(shared);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
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
    group.bench_function(name, |b| b.iter(|| hits(runtime, services.clone())));
}

/// Of one task for each service.
fn hits<S>(runtime: &Runtime, services: Vec<S>)
where
    S: Service<Request<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
{
    runtime.block_on(async {
        let tasks: Vec<_> = services
            .into_iter()
            .map(|mut service| {
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
    ratios::run("contended", contended)?;
    if ratios::are_measured() {
        shared();
    }
    Ok(())
}
