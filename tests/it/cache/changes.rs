//! What those get to know who watch a cache.

use std::{
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::time::{advance, timeout};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, TokenCache, TokenChange, TokenChanges, TokenError, fetch_fn};

use crate::support::*;

const URI: &str = "https://api.example.com/";

fn name(change: &TokenChange) -> &'static str {
    match change {
        TokenChange::Fetched => "fetched",
        TokenChange::Renewed => "renewed",
        TokenChange::Failed(_) => "failed",
        TokenChange::Rejected => "rejected",
        _ => "another",
    }
}

/// Those that have happened by now.
async fn read(changes: &mut TokenChanges) -> Vec<&'static str> {
    let mut names = Vec::new();
    while let Ok(Some(change)) = timeout(Duration::ZERO, changes.next()).await {
        names.push(name(&change));
    }
    names
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_the_order_in_which_they_happened() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let mut changes = cache.changes();
    assert!(read(&mut changes).await.is_empty());

    cache.token().await.unwrap();
    advance(seconds(275)).await;
    cache.token().await.unwrap();
    advance(seconds(275)).await;
    issuer.trouble(Trouble::Down);
    cache.token().await.unwrap();
    advance(seconds(30)).await;
    issuer.trouble(None);
    let token = cache.token().await.unwrap();
    cache.reject(&token);
    cache.token().await.unwrap();

    let names = ["fetched", "renewed", "failed", "fetched", "rejected", "renewed"];
    assert_eq!(read(&mut changes).await, names);
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_with_its_error() {
    let issuer = Issuer::default();
    issuer.trouble(Trouble::Refuses);
    let cache = TokenCache::new(issuer);
    let mut changes = cache.changes();
    cache.token().await.unwrap_err();
    match changes.next().await {
        Some(TokenChange::Failed(error)) => assert!(error.is_refused()),
        change => panic!("{change:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_of_one_token_is_one_rejection() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let cache = TokenCache::new(issuer.clone());
    cache.token().await.unwrap();
    let mut changes = cache.changes();
    let client = BearerAuthLayer::new(cache.clone()).layer(Api::of(&issuer).latency(seconds(1)));
    issuer.revoke("t1");
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { send(&mut client, get(URI)).await.unwrap().status() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(read(&mut changes).await, ["rejected", "renewed"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_the_cache_ignores_is_no_change() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let old = cache.token().await.unwrap();
    cache.reject(&old);
    let new = cache.token().await.unwrap();
    let mut changes = cache.changes();
    cache.reject(&old);
    // The cooldown forbids it.
    cache.reject(&new);
    assert!(read(&mut changes).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_no_change() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    cache.token().await.unwrap();
    let mut changes = cache.changes();
    for _ in 0..100 {
        cache.token().await.unwrap();
        advance(seconds(1)).await;
    }
    assert!(read(&mut changes).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_reader_gets_every_change_from_its_beginning_on() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let mut first = cache.changes();
    let token = cache.token().await.unwrap();
    let mut second = cache.changes();
    cache.reject(&token);
    assert_eq!(read(&mut second).await, ["rejected"]);
    assert_eq!(read(&mut first).await, ["fetched", "rejected"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_next_change() {
    let cache = TokenCache::new(Issuer::of(seconds(300)).latency(seconds(5)));
    let mut changes = cache.changes();
    let reader = tokio::spawn(async move { changes.next().await.map(|change| name(&change)) });
    tokio::task::yield_now().await;
    assert!(!reader.is_finished());
    cache.token().await.unwrap();
    assert_eq!(timeout(seconds(60), reader).await.unwrap().unwrap(), Some("fetched"));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_reader_that_waits_loses_no_change() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let mut changes = cache.changes();
    for _ in 0..3 {
        assert!(timeout(seconds(1), changes.next()).await.is_err());
    }
    cache.token().await.unwrap();
    assert_eq!(read(&mut changes).await, ["fetched"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_misses_the_oldest_changes_and_their_errors() {
    let held = Arc::new(());
    let kept = held.clone();
    let cache = TokenCache::new(fetch_fn(move |_| {
        let source = Held(kept.clone());
        async move { Err(TokenError::unavailable(source)) }
    }));
    let mut changes = cache.changes();
    for _ in 0..1000 {
        cache.token().await.unwrap_err();
        advance(seconds(2)).await;
    }
    // The test, the fetcher, the last failure, and 16 for the reader. The last is the same twice.
    assert_eq!(Arc::strong_count(&held), 2 + 16);
    assert_eq!(read(&mut changes).await, ["failed"; 16]);
    cache.token().await.unwrap_err();
    assert_eq!(read(&mut changes).await, ["failed"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_where_nobody_reads() {
    let held = Arc::new(());
    let kept = held.clone();
    let cache = TokenCache::new(fetch_fn(move |_| {
        let source = Held(kept.clone());
        async move { Err(TokenError::unavailable(source)) }
    }));
    drop(cache.changes());
    for _ in 0..10 {
        cache.token().await.unwrap_err();
        advance(seconds(2)).await;
    }
    assert_eq!(Arc::strong_count(&held), 3);
    assert!(read(&mut cache.changes()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_end_with_the_last_clone_when_all_are_read() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let mut changes = cache.changes();
    let other = cache.clone();
    cache.token().await.unwrap();
    drop(cache);
    assert_eq!(changes.next().await.map(|change| name(&change)), Some("fetched"));
    assert!(timeout(seconds(1), changes.next()).await.is_err());
    let reader = tokio::spawn(async move {
        let end = changes.next().await.is_none();
        end && changes.next().await.is_none()
    });
    tokio::task::yield_now().await;
    drop(other);
    assert!(timeout(seconds(60), reader).await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn unread_changes_outlive_the_last_clone() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let mut changes = cache.changes();
    let token = cache.token().await.unwrap();
    cache.reject(&token);
    drop(cache);
    assert_eq!(read(&mut changes).await, ["fetched", "rejected"]);
    assert!(timeout(seconds(60), changes.next()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_waker_of_a_reader_may_use_the_cache() {
    struct Uses(TokenCache);
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            let status = self.0.status();
            assert!(status.has_token() && status.is_rejected());
            drop(self.0.changes());
        }
    }
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let token = cache.token().await.unwrap();
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || {
        let mut changes = cache.changes();
        let waker = Waker::from(Arc::new(Uses(cache.clone())));
        let mut next = std::pin::pin!(changes.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        cache.reject(&token);
        done.send(matches!(
            next.as_mut().poll(&mut Context::from_waker(&waker)),
            Poll::Ready(Some(TokenChange::Rejected))
        ))
    });
    assert!(end.recv_timeout(Duration::from_secs(10)).expect("a deadlock, or a panic"));
}

/// Code of the fetcher's that runs when an error that nobody has read makes room for the next.
#[tokio::test(start_paused = true)]
async fn a_forgotten_error_may_use_the_cache_when_it_is_dropped() {
    #[derive(Debug)]
    struct Uses(Arc<std::sync::OnceLock<TokenCache>>);
    impl std::fmt::Display for Uses {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("down")
        }
    }
    impl std::error::Error for Uses {}
    impl Drop for Uses {
        fn drop(&mut self) {
            if let Some(cache) = self.0.get() {
                drop(cache.changes());
                cache.status();
            }
        }
    }
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || {
        let cell = Arc::new(std::sync::OnceLock::new());
        let used = cell.clone();
        let cache = TokenCache::new(fetch_fn(move |_| {
            let source = Uses(used.clone());
            async move { Err(TokenError::unavailable(source)) }
        }));
        cell.set(cache.clone()).unwrap();
        let _changes = cache.changes();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            for _ in 0..40 {
                cache.token().await.unwrap_err();
                advance(seconds(2)).await;
            }
        });
        done.send(())
    });
    end.recv_timeout(Duration::from_secs(10)).expect("a deadlock, or a panic");
}

/// An error that is counted.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Held {}
