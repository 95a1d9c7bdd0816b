//! When a token is used, renewed and waited for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, advance};
use tower_bearer::{FetchReason, Token, TokenCache, TokenError, fetch_fn};

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
async fn a_fresh_token_is_used_again() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    for _ in 0..100 {
        assert_eq!(token(&cache).await, "t1");
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_due_token_is_used_at_once_while_one_refresh_runs_behind_it() {
    let issuer = Issuer::of(seconds(3600)).latency(seconds(2));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    advance(seconds(3500)).await;
    let before = Instant::now();
    for _ in 0..10 {
        assert_eq!(token(&cache).await, "t1");
    }
    assert_eq!(Instant::now(), before, "somebody waited");
    settle().await;
    assert_eq!(issuer.lock().reasons, [FetchReason::Empty, FetchReason::Ahead]);
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(token(&cache).await, "t2");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_wait_for_the_one_fetch_when_the_token_is_spent() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(2));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    advance(seconds(275)).await;
    let (a, b) = tokio::join!(token(&cache), token(&cache));
    assert_eq!((&*a, &*b), ("t2", "t2"));
    assert_eq!(issuer.lock().reasons, [FetchReason::Empty, FetchReason::Expired]);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_any_usual_lifetime_are_reused() {
    for lifetime in [5, 60, 300, 12 * 3600] {
        let issuer = Issuer::of(seconds(lifetime));
        let cache = TokenCache::new(issuer.clone());
        let requests = 1000;
        for _ in 0..requests {
            token(&cache).await;
            advance(Duration::from_millis(lifetime * 10)).await;
        }
        let lifetimes = 10;
        assert!(
            (lifetimes..lifetimes * 3 / 2).contains(&issuer.fetches()),
            "{lifetime} s: {} fetches",
            issuer.fetches()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_lifetime_counts_from_before_the_fetch() {
    let issuer = Issuer::of(seconds(100)).latency(seconds(8));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    advance(seconds(83)).await;
    assert_eq!(token(&cache).await, "t2", "the token was 91 s old, inside its margin");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_never_used_past_its_expiry_even_in_an_outage() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    issuer.trouble(Trouble::Down);
    advance(seconds(299)).await;
    assert_eq!(token(&cache).await, "t1");
    advance(seconds(1)).await;
    assert!(cache.token().await.is_err());
    assert!(cache.peek().is_none());
}

#[tokio::test(start_paused = true)]
async fn many_callers_on_an_empty_cache_share_one_fetch() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let cache = TokenCache::new(issuer.clone());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { token(&cache).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "t1");
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_failure() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    issuer.trouble(Trouble::Down);
    let cache = TokenCache::new(issuer.clone());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.token().await.unwrap_err() })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_transient());
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_mid_fetch_does_not_cancel_the_others() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let cache = TokenCache::new(issuer.clone());
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move { cache.token().await }
    });
    settle().await;
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move { token(&cache).await }
    });
    settle().await;
    leader.abort();
    assert_eq!(follower.await.unwrap(), "t1");
    assert_eq!(issuer.fetches(), 1);
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
async fn a_fetch_whose_only_caller_is_dropped_still_serves_the_next() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let cache = TokenCache::new(issuer.clone());
    let timed_out = tokio::time::timeout(seconds(1), cache.token()).await;
    assert!(timed_out.is_err());
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(cache.peek().unwrap().expose(), "t1");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiters_own_timeout_is_its_own() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let cache = TokenCache::new(issuer.clone());
    let (hasty, patient) =
        tokio::join!(tokio::time::timeout(seconds(1), cache.token()), cache.token());
    assert!(hasty.is_err());
    assert_eq!(patient.unwrap().expose(), "t1");
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_panics_fails_the_fetch_and_does_not_poison_the_cache() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Panics);
    let cache = TokenCache::new(issuer.clone());
    let (a, b) = tokio::join!(cache.token(), cache.token());
    assert!(a.unwrap_err().is_transient() && b.unwrap_err().is_transient());
    assert_eq!(issuer.fetches(), 1);
    issuer.trouble(None);
    advance(seconds(2)).await;
    assert_eq!(token(&cache).await, "t1");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_arrives_as_a_fetch_lands_sees_its_result() {
    let cache_slot: Arc<Mutex<Option<TokenCache>>> = Arc::default();
    let fetches = Arc::new(AtomicUsize::new(0));
    let cache = TokenCache::new(fetch_fn({
        let fetches = fetches.clone();
        move |_| {
            fetches.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(seconds(1)).await;
                Err::<Token, _>(TokenError::unavailable("down"))
            }
        }
    }));
    *cache_slot.lock().unwrap() = Some(cache.clone());
    let first = cache.token().await.unwrap_err();
    let late = cache.token().await.unwrap_err();
    assert_eq!(fetches.load(Ordering::Relaxed), 1);
    assert_eq!(first.to_string(), late.to_string());
    assert!(late.retry_after().is_some());
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
async fn a_fetch_has_its_own_timeout_whatever_the_callers_is() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Hangs);
    let cache = TokenCache::new(issuer.clone());
    let started = Instant::now();
    let error = cache.token().await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error:?}");
    assert_eq!(Instant::now() - started, seconds(10));
    issuer.trouble(None);
    advance(seconds(2)).await;
    assert_eq!(token(&cache).await, "t1");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_unknown_lifetime_is_used_for_five_minutes() {
    let issuer = Issuer::default();
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    advance(seconds(239)).await;
    token(&cache).await;
    settle().await;
    assert_eq!(issuer.fetches(), 1);
    advance(seconds(61)).await;
    assert_eq!(token(&cache).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn the_unknown_lifetime_can_be_set_and_can_be_for_ever() {
    let issuer = Issuer::default();
    let cache = TokenCache::builder().default_lifetime(seconds(60)).build(issuer.clone());
    token(&cache).await;
    advance(seconds(60)).await;
    assert_eq!(token(&cache).await, "t2");

    let issuer = Issuer::default();
    let cache = TokenCache::builder().default_lifetime(Duration::MAX).build(issuer.clone());
    token(&cache).await;
    advance(seconds(10 * 365 * 24 * 3600)).await;
    assert_eq!(token(&cache).await, "t1");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_for_no_time_serves_those_who_wait_and_is_gone() {
    let issuer = Issuer::of(Duration::ZERO).latency(seconds(1));
    let cache = TokenCache::new(issuer.clone());
    let (a, b) = tokio::join!(token(&cache), token(&cache));
    assert_eq!((&*a, &*b), ("t1", "t1"));
    assert!(cache.peek().is_none());
    assert_eq!(token(&cache).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_it_is_fetched_serves_its_waiters() {
    let issuer = Issuer::of(seconds(1)).latency(seconds(3));
    let cache = TokenCache::new(issuer.clone());
    assert_eq!(token(&cache).await, "t1");
    assert_eq!(token(&cache).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_ahead_costs_nobody_anything_and_backs_off() {
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    issuer.trouble(Trouble::Down);
    advance(seconds(3300)).await;
    let started = Instant::now();
    while Instant::now() - started < seconds(269) {
        let asked = Instant::now();
        assert_eq!(token(&cache).await, "t1");
        assert_eq!(Instant::now(), asked, "somebody waited");
        settle().await;
        advance(Duration::from_millis(100)).await;
    }
    // At most one a second would be without any back-off.
    assert!((2..60).contains(&issuer.fetches()), "{} fetches", issuer.fetches());
    issuer.trouble(None);
    advance(seconds(31)).await;
    assert_eq!(token(&cache).await, "t2");
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
async fn a_failure_with_no_token_is_remembered_and_says_how_long() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Down);
    let cache = TokenCache::new(issuer.clone());
    cache.token().await.unwrap_err();
    advance(Duration::from_millis(400)).await;
    let error = cache.token().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(600)));
    assert_eq!(issuer.fetches(), 1);
    advance(Duration::from_millis(600)).await;
    issuer.trouble(None);
    assert_eq!(token(&cache).await, "t1");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_for_one_to_five_seconds() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Refuses);
    let cache = TokenCache::new(issuer.clone());
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert!(cache.token().await.unwrap_err().is_refused());
        let wait = cache.token().await.unwrap_err().retry_after().unwrap();
        waits.push(wait.as_secs());
        advance(wait).await;
    }
    assert_eq!(waits, [1, 2, 4, 5, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_asks_for_is_honoured_up_to_a_minute_without_a_token() {
    for (asked, honoured) in [(7, 7), (3600, 60)] {
        let issuer = Issuer::of(seconds(300));
        issuer.trouble(Trouble::RetryAfter(seconds(asked)));
        let cache = TokenCache::new(issuer.clone());
        cache.token().await.unwrap_err();
        let error = cache.token().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(seconds(honoured)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_repeats_its_token_is_asked_a_handful_of_times() {
    let issuer = Issuer::of(seconds(43_200));
    issuer.lock().same_token = true;
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    advance(seconds(42_800)).await;
    for _ in 0..4_500 {
        token(&cache).await;
        settle().await;
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(token(&cache).await, "t2");
    assert!(issuer.fetches() <= 8, "{} fetches", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_token_has_expired_when_the_wall_clock_says_so() {
    let offset = Arc::new(Mutex::new(Duration::ZERO));
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::builder()
        .wall_clock({
            let (start, offset) = (SystemTime::now(), offset.clone());
            move || start + *offset.lock().unwrap()
        })
        .build(issuer.clone());
    token(&cache).await;
    *offset.lock().unwrap() = seconds(3600);
    advance(seconds(2)).await;
    assert_eq!(token(&cache).await, "t2");
    *offset.lock().unwrap() = seconds(0);
    for _ in 0..50 {
        advance(seconds(2)).await;
        assert_eq!(token(&cache).await, "t2");
    }
    assert_eq!(issuer.fetches(), 2);
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
async fn a_fetcher_is_told_the_current_token_what_remains_of_it_and_its_own_time() {
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
async fn what_remains_of_the_current_token_counts_from_the_start_of_a_fetch_that_was_put_off() {
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
