//! A cache belongs to no runtime: it is used from several, after each other and at once, and from none.

use std::{task::Poll, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, advance},
};
use tower::{Layer, Service};
use tower_bearer::{BearerAuthLayer, TokenCache};

use crate::support::*;

const URI: &str = "https://api.example.com/";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

async fn token(cache: &TokenCache) -> String {
    cache.token().await.unwrap().expose().to_owned()
}

#[test]
fn a_token_outlives_the_runtime_that_fetched_it() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    assert_eq!(runtime().block_on(token(&cache)), "t1");
    assert_eq!(runtime().block_on(token(&cache)), "t1");
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn without_a_runtime_there_is_a_clear_error() {
    let cache = TokenCache::new(Issuer::default());
    let mut task = tokio_test::task::spawn(cache.token());
    let Poll::Ready(outcome) = task.poll() else { panic!("it waits for what never comes") };
    let error = outcome.unwrap_err();
    assert!(error.is_config(), "{error:?}");
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn a_token_in_the_cache_needs_no_runtime() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    runtime().block_on(token(&cache));
    let mut task = tokio_test::task::spawn(cache.token());
    assert!(matches!(task.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn a_request_is_called_outside_a_runtime_and_polled_inside() {
    let issuer = Issuer::of(seconds(300));
    let api = Api::of(&issuer);
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(api.clone());
    let future = client.call(get(URI));
    assert_eq!(runtime().block_on(future).unwrap().status(), 200);
    assert_eq!(api.seen(), ["t1"]);
}

#[test]
fn a_due_token_is_used_where_no_refresh_can_run() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::builder()
        .wall_clock({
            let start = std::time::SystemTime::now();
            let reads = std::sync::atomic::AtomicU32::new(0);
            // The second look at the clock finds the token due.
            move || match reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0..=2 => start,
                _ => start + seconds(269),
            }
        })
        .build(issuer.clone());
    runtime().block_on(token(&cache));
    let mut task = tokio_test::task::spawn(cache.token());
    assert!(matches!(task.poll(), Poll::Ready(Ok(_))));
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn a_fetch_whose_runtime_is_shut_down_restarts_on_another() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Hangs);
    let cache = TokenCache::new(issuer.clone());
    let first = runtime();
    first.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(10), cache.token()).await;
    });
    let second = std::thread::spawn({
        let cache = cache.clone();
        move || runtime().block_on(async move { token(&cache).await })
    });
    issuer.trouble(None);
    drop(first);
    assert_eq!(second.join().unwrap(), "t1");
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn a_fetch_whose_runtime_stands_still_is_given_up() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Hangs);
    let cache = TokenCache::new(issuer.clone());
    let still = paused();
    still.block_on(async {
        let _ = tokio::time::timeout(seconds(1), cache.token()).await;
    });
    issuer.trouble(None);
    paused().block_on(async {
        let started = Instant::now();
        assert_eq!(token(&cache).await, "t1");
        assert!(started.elapsed() <= seconds(12), "{:?}", started.elapsed());
    });
    assert_eq!(issuer.fetches(), 2);
    drop(still);
}

#[test]
fn a_fetch_that_was_given_up_changes_nothing_when_it_lands() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let cache = TokenCache::new(issuer.clone());
    let still = paused();
    still.block_on(async {
        let _ = tokio::time::timeout(seconds(1), cache.token()).await;
    });
    let other = paused();
    assert_eq!(other.block_on(token(&cache)), "t1");
    still.block_on(async {
        advance(seconds(10)).await;
        tokio::task::yield_now().await;
    });
    assert_eq!(other.block_on(token(&cache)), "t1");
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn a_cache_is_shared_by_two_runtimes_at_once() {
    let issuer = Issuer::of(seconds(300)).latency(Duration::from_millis(20));
    let cache = TokenCache::new(issuer.clone());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let cache = cache.clone();
            std::thread::spawn(move || runtime().block_on(async move { token(&cache).await }))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(issuer.lock().most_in_flight, 1);
}
