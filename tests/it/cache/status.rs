//! What a health endpoint can ask.

use std::time::{Duration, SystemTime};

use tokio::time::advance;
use tower_bearer::{FetchReason, TokenCache};

use crate::support::*;

/// Lets spawned tasks run without moving time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn asking_for_the_status_never_fetches() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    // Empty, fresh, due, spent, expired.
    for pause in [0, 10, 255, 20, 20] {
        let status = cache.status();
        settle().await;
        assert_eq!(status.has_token(), cache.peek().is_some());
        assert!(!status.is_fetching());
        if issuer.fetches() == 0 {
            cache.token().await.unwrap();
        }
        advance(seconds(pause)).await;
    }
    assert!(!cache.status().has_token());
    settle().await;
    assert_eq!(issuer.lock().reasons, [FetchReason::Empty]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_expire_is_good_for_the_longest_time() {
    let cache = TokenCache::builder().default_lifetime(Duration::MAX).build(Issuer::default());
    cache.token().await.unwrap();
    advance(seconds(10)).await;
    assert_eq!(cache.status().expires_in(), Some(Duration::MAX));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_wall_clock_lets_expire_is_not_reported() {
    let start = SystemTime::now();
    let clock = std::sync::Arc::new(std::sync::Mutex::new(start));
    let read = clock.clone();
    let cache = TokenCache::builder()
        .wall_clock(move || *read.lock().unwrap())
        .build(Issuer::of(seconds(300)));
    cache.token().await.unwrap();
    assert!(cache.status().has_token());
    *clock.lock().unwrap() = start + seconds(300);
    assert!(!cache.status().has_token());
}

#[tokio::test(start_paused = true)]
async fn the_status_shows_the_last_failure_and_how_long_ago_it_was() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Refuses);
    let cache = TokenCache::new(issuer.clone());
    assert!(cache.status().last_failure().is_none());
    cache.token().await.unwrap_err();
    advance(seconds(7)).await;
    let status = cache.status();
    assert!(status.last_failure().unwrap().is_refused());
    assert_eq!(status.failed_ago(), Some(seconds(7)));
    issuer.trouble(Trouble::Down);
    cache.token().await.unwrap_err();
    let status = cache.status();
    assert!(status.last_failure().unwrap().is_transient());
    assert_eq!(status.failed_ago(), Some(seconds(0)));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_there_and_marked_until_another_comes() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let token = cache.token().await.unwrap();
    assert!(!cache.status().is_rejected());
    cache.reject(&token);
    let status = cache.status();
    assert!(status.has_token() && status.is_rejected(), "{status:?}");
    cache.token().await.unwrap();
    assert!(!cache.status().is_rejected());

    let token = cache.token().await.unwrap();
    advance(seconds(10)).await;
    cache.reject(&token);
    advance(seconds(300)).await;
    assert!(!cache.status().is_rejected(), "there is no token that could be");
}
