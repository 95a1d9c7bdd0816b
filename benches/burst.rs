//! 10,000 callers on an empty cache, and 1,000 whose token was refused: how much longer they take
//! than the issuer does, and how often it is asked.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use criterion::Criterion;
use http::{Request, Response, header::AUTHORIZATION};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, fetch_fn};

use ratios::ISSUER_LATENCY;
use support::*;

const COLD: usize = 10_000;
const REJECTED: usize = 1_000;

fn burst(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut group = c.benchmark_group("burst: issuer latency 50 ms");
    group.sample_size(10);
    for (name, callers) in [("10,000 bare calls", COLD), ("2,000 bare calls", 2 * REJECTED)] {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(all(callers, Bare))).sum());
        });
    }
    group.bench_function("10,000 on an empty cache", |b| {
        b.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    let (tokens, fetches) = issuer();
                    let took =
                        runtime.block_on(all(COLD, BearerAuthLayer::new(tokens).layer(Bare)));
                    assert_eq!(fetches.load(Ordering::Relaxed), 1);
                    took
                })
                .sum()
        });
    });
    group.bench_function("1,000 refused at once", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(refused_at_once())).sum());
    });
    group.finish();
}

/// Gives out `token-1`, `token-2`, and so on.
fn issuer() -> (TokenCache, Arc<AtomicUsize>) {
    let fetches = Arc::new(AtomicUsize::new(0));
    let tokens = TokenCache::new(fetch_fn({
        let fetches = fetches.clone();
        move |_| {
            let n = fetches.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                tokio::time::sleep(ISSUER_LATENCY).await;
                Ok::<_, BoxError>(Token::bearer(&format!("token-{n}"))?.expires_in(Duration::MAX))
            }
        }
    }));
    (tokens, fetches)
}

async fn refused_at_once() -> Duration {
    let (tokens, fetches) = issuer();
    tokens.token().await.unwrap();
    let api = service_fn(async |request: Request<Body>| {
        let refused = request.headers()[AUTHORIZATION] == "Bearer token-1";
        let status = if refused { 401 } else { 200 };
        Response::builder().status(status).body(Body::default())
    });
    let took = all(REJECTED, BearerAuthLayer::new(tokens).layer(api)).await;
    assert_eq!(fetches.load(Ordering::Relaxed), 2);
    took
}

async fn all<S>(callers: usize, service: S) -> Duration
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug + Send,
{
    let started = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.oneshot(request(0)).await.unwrap().status() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    started.elapsed()
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("burst", burst)
}
