//! When a token is used, renewed and waited for.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, advance};
use tower_bearer::{FetchReason, Token, TokenCache, fetch_fn};

use crate::support::*;

async fn token(cache: &TokenCache) -> String {
    cache.token().await.unwrap().expose().to_owned()
}

/// Lets spawned tasks run without moving time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_is_used_as_soon_as_it_is_there() {
    let issuer = Issuer::of(seconds(3600)).latency(Duration::from_millis(100));
    let cache = TokenCache::new(issuer);
    assert_eq!(token(&cache).await, "t1");
    advance(seconds(3500)).await;
    assert_eq!(token(&cache).await, "t1");
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert_eq!(token(&cache).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_waits_for_its_own_cache_fails_at_once() {
    let slot: Arc<Mutex<Option<TokenCache>>> = Arc::default();
    let cache = TokenCache::new(fetch_fn({
        let slot = slot.clone();
        move |_| {
            let own = slot.lock().unwrap().clone().unwrap();
            async move { own.token().await }
        }
    }));
    *slot.lock().unwrap() = Some(cache.clone());
    let started = Instant::now();
    let error = cache.token().await.unwrap_err();
    assert!(error.is_config(), "{error:?}");
    assert_eq!(Instant::now(), started);
    slot.lock().unwrap().take();
}

#[tokio::test(start_paused = true)]
async fn inside_the_margin_a_token_is_used_if_the_fetch_fails() {
    let issuer = Issuer::of(seconds(3600)).latency(seconds(2));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    issuer.trouble(Trouble::Refuses);
    advance(seconds(3580)).await;
    let asked = Instant::now();
    assert_eq!(token(&cache).await, "t1");
    assert_eq!(Instant::now() - asked, seconds(2));
    assert_eq!(token(&cache).await, "t1");
    assert_eq!(Instant::now() - asked, seconds(2), "the failure is remembered");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_ends_a_running_fetch() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Hangs);
    let cache = TokenCache::new(issuer.clone());
    let _ = tokio::time::timeout(seconds(1), cache.token()).await;
    assert_eq!(issuer.lock().in_flight, 1);
    drop(cache);
    settle().await;
    assert_eq!(issuer.lock().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_is_told_the_current_token_its_rest_and_its_time() {
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let fetcher = fetch_fn({
        let contexts = contexts.clone();
        move |context| {
            let mut contexts = contexts.lock().unwrap();
            contexts.push(context);
            let token = Token::bearer(&format!("t{}", contexts.len()));
            async move { token.map(|token| token.expires_in(seconds(300))) }
        }
    });
    let cache = TokenCache::builder().fetch_timeout(seconds(7)).build(fetcher);
    token(&cache).await;
    // Renewed by a caller who waits, rejected, and expired.
    advance(seconds(275)).await;
    token(&cache).await;
    advance(seconds(100)).await;
    cache.reject(&cache.peek().unwrap());
    token(&cache).await;
    advance(seconds(300)).await;
    token(&cache).await;

    let told: Vec<_> = contexts
        .lock()
        .unwrap()
        .iter()
        .map(|context| {
            assert_eq!(context.fetch_timeout(), seconds(7));
            let current = context.current().map(|token| token.expose().to_owned());
            (context.reason(), current, context.current_expires_in())
        })
        .collect();
    let current = |token: &str, left| (Some(token.to_owned()), Some(seconds(left)));
    let expected = [
        (FetchReason::Empty, (None, None)),
        (FetchReason::Expired, current("t1", 25)),
        (FetchReason::Rejected, current("t2", 200)),
        (FetchReason::Expired, (None, None)),
    ];
    assert_eq!(told, expected.map(|(reason, (token, left))| (reason, token, left)));
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_is_told_that_the_current_token_does_not_expire() {
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let fetcher = fetch_fn({
        let contexts = contexts.clone();
        move |context| {
            contexts.lock().unwrap().push(context);
            async { Token::bearer("abc").map(|token| token.expires_in(Duration::MAX)) }
        }
    });
    let cache = TokenCache::new(fetcher);
    token(&cache).await;
    cache.reject(&cache.peek().unwrap());
    token(&cache).await;
    assert_eq!(contexts.lock().unwrap()[1].current_expires_in(), Some(Duration::MAX));
}

#[tokio::test(start_paused = true)]
async fn what_remains_of_a_token_counts_from_the_start_of_the_fetch() {
    let contexts = Arc::new(Mutex::new(Vec::new()));
    let issued = Instant::now();
    let fetcher = fetch_fn({
        let contexts = contexts.clone();
        move |context| {
            contexts.lock().unwrap().push((context, Instant::now()));
            // An issuer that hands out the same token to its end.
            let left = seconds(5).saturating_sub(issued.elapsed());
            async move { Token::bearer("abc").map(|token| token.expires_in(left)) }
        }
    });
    let cache = TokenCache::new(fetcher);
    while issued.elapsed() < seconds(5) {
        token(&cache).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (context, started) in contexts.lock().unwrap().iter() {
        if let Some(left) = context.current_expires_in() {
            let ends = *started - issued + left;
            assert!(ends.abs_diff(seconds(5)) <= Duration::from_millis(2), "{ends:?}");
        }
    }
}
