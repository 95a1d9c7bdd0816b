//! What it costs that tasks share an instance, against one for each.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

use std::time::Duration;

use http::Request;
use tokio::{runtime::Runtime, time::Instant};
use tower::Service;

use crate::support::{Body, request};

pub const TASKS: u64 = 8;
pub const HITS: u64 = 2000;
const ROUNDS: usize = 200;

/// An instance for each task, and one that all share.
pub struct Pair {
    name: &'static str,
    run: Box<Run>,
    own: Vec<f64>,
    shared: Vec<f64>,
}

/// How long the hits take, with an instance for each task and with one for all.
type Run = dyn Fn(&Runtime) -> [Duration; 2];

impl Pair {
    pub fn of<S>(name: &'static str, service: impl Fn() -> S) -> Self
    where
        S: Service<Request<Body>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: std::fmt::Debug,
    {
        Self::with(name, service, || request(8))
    }

    pub fn with<S>(
        name: &'static str,
        service: impl Fn() -> S,
        request: fn() -> Request<Body>,
    ) -> Self
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
                hits(runtime, services.clone(), request);
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

/// Measures all pairs in turns, and prints what came of it.
pub fn show(pairs: &mut [Pair], runtime: &Runtime) {
    for _ in 0..ROUNDS {
        for pair in &mut *pairs {
            pair.measure(runtime);
        }
    }
    println!("\n{:36} {:>9} {:>9}", "million hits a second", "one each", "one for all");
    for Pair { name, own, shared, .. } in pairs {
        let [own, shared] = [own, shared].map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!("  {name:36} {own:7.2} {shared:9.2}   one each / one for all {:.2}", own / shared);
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Of one task for each service.
pub fn hits<S>(runtime: &Runtime, services: Vec<S>, request: fn() -> Request<Body>)
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
                        let _ = service.call(request()).await.unwrap();
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
