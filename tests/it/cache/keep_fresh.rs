//! Renewal while nobody asks.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{Instant, advance, sleep, timeout},
};
use tower_bearer::{
    FetchReason, Token, TokenCache, TokenChange, TokenChanges, TokenError, fetch_fn,
};

use crate::support::*;

fn kept_fresh(issuer: &Issuer) -> TokenCache {
    TokenCache::builder().keep_fresh().build(issuer.clone())
}

async fn token(cache: &TokenCache) -> String {
    cache.token().await.unwrap().expose().to_owned()
}

/// Lets spawned tasks run without moving time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

async fn next(changes: &mut TokenChanges) -> TokenChange {
    timeout(seconds(3600), changes.next()).await.expect("a change in an hour").unwrap()
}

/// What holds whenever one looks, for so long.
async fn throughout(time: Duration, holds: impl Fn() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(holds(), "{:?} before the end", end - Instant::now());
        sleep(time / 1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_idle_at_night_has_a_good_token_in_the_morning() {
    let issuer = Issuer::of(seconds(3600)).latency(seconds(2));
    let cache = kept_fresh(&issuer);
    token(&cache).await;
    throughout(seconds(12 * 3600), || cache.status().expires_in() > Some(seconds(120))).await;
    let morning = Instant::now();
    cache.token().await.unwrap();
    assert_eq!(Instant::now(), morning, "somebody waited");
    assert!((12..=13).contains(&(issuer.fetches() - 1)), "{} fetches", issuer.fetches());
    assert!(issuer.lock().reasons[1..].iter().all(|reason| *reason == FetchReason::Ahead));
}

#[tokio::test(start_paused = true)]
async fn without_it_nothing_is_renewed_while_nobody_asks() {
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::new(issuer.clone());
    token(&cache).await;
    sleep(seconds(12 * 3600)).await;
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_until_somebody_has_asked_once() {
    let issuer = Issuer::of(seconds(60));
    let cache = kept_fresh(&issuer);
    sleep(seconds(3600)).await;
    cache.status();
    assert_eq!(issuer.fetches(), 0);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_token_draws_its_renewal_from_the_window() {
    let issuer = Issuer::of(seconds(1000));
    let cache = kept_fresh(&issuer);
    let mut changes = cache.changes();
    token(&cache).await;
    next(&mut changes).await;
    let mut ages = Vec::new();
    for _ in 0..200 {
        let fetched = Instant::now();
        assert!(matches!(next(&mut changes).await, TokenChange::Renewed));
        ages.push(fetched.elapsed());
    }
    // 20 % of the lifetime, and up to half of that later.
    let millis = Duration::from_millis(1);
    assert!(
        ages.iter().all(|age| (seconds(800)..=seconds(900) + millis).contains(age)),
        "{ages:?}"
    );
    let (min, max) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
    assert!(*max - *min > seconds(50), "{min:?} to {max:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_and_the_renewal_share_one_fetch() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let cache = kept_fresh(&issuer);
    for _ in 0..3000 {
        token(&cache).await;
        sleep(seconds(1)).await;
    }
    assert_eq!(issuer.lock().most_in_flight, 1);
    assert!(issuer.fetches() <= 14, "{}", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_issuer_is_left_alone_longer_and_longer() {
    let issuer = Issuer::of(seconds(300));
    let cache = kept_fresh(&issuer);
    token(&cache).await;
    issuer.trouble(Trouble::Down);
    sleep(seconds(3600)).await;
    let status = cache.status();
    assert!(!status.has_token() && status.last_failure().is_some(), "{status:?}");
    // A random part of 30 s, so 15 s on average.
    let attempts = issuer.fetches() - 1;
    assert!((120..400).contains(&attempts), "{attempts} attempts in an hour");

    issuer.trouble(None);
    sleep(seconds(31)).await;
    throughout(seconds(3600), || cache.status().has_token()).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_down_at_the_start_is_asked_until_it_is_back() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Down);
    let cache = kept_fresh(&issuer);
    cache.token().await.unwrap_err();
    sleep(seconds(600)).await;
    issuer.trouble(None);
    sleep(seconds(31)).await;
    assert!(cache.status().has_token());
    throughout(seconds(3600), || cache.status().has_token()).await;
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_denies_hangs_or_panics_does_not_end_it() {
    for trouble in [Trouble::Refuses, Trouble::Hangs, Trouble::Panics] {
        let issuer = Issuer::of(seconds(300));
        let cache = kept_fresh(&issuer);
        token(&cache).await;
        issuer.trouble(trouble);
        sleep(seconds(1200)).await;
        assert!(!cache.status().has_token(), "{trouble:?}");
        assert!(issuer.fetches() < 200, "{trouble:?}: {}", issuer.fetches());
        issuer.trouble(None);
        sleep(seconds(45)).await;
        assert!(cache.status().has_token(), "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_asks_for_is_waited_for() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::RetryAfter(seconds(200)));
    let cache = kept_fresh(&issuer);
    cache.token().await.unwrap_err();
    sleep(seconds(199)).await;
    assert_eq!(issuer.fetches(), 1);
    issuer.trouble(None);
    sleep(seconds(2)).await;
    assert!(cache.status().has_token());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_repeats_its_token_is_asked_a_few_times_for_it() {
    let issuer = Issuer::of(seconds(300));
    issuer.lock().same_token = true;
    let cache = kept_fresh(&issuer);
    token(&cache).await;
    sleep(seconds(3000)).await;
    let fetches = issuer.fetches();
    assert!((20..=80).contains(&fetches), "{fetches} fetches for 10 tokens");
    assert!(cache.status().has_token());
}

#[tokio::test(start_paused = true)]
async fn tokens_without_a_lifetime_are_asked_for_twice_a_minute() {
    let issuer = Issuer::of(Duration::ZERO);
    let cache = kept_fresh(&issuer);
    token(&cache).await;
    sleep(seconds(3600)).await;
    let fetches = issuer.fetches();
    assert!((100..130).contains(&fetches), "{fetches} fetches");
}

#[tokio::test(start_paused = true)]
async fn even_short_tokens_are_asked_for_once_a_second_at_most() {
    for lifetime in [1, 10, 100, 500, 900, 1100, 3000] {
        let issuer = Issuer::of(Duration::from_millis(lifetime));
        let cache = kept_fresh(&issuer);
        token(&cache).await;
        sleep(seconds(100)).await;
        let fetches = issuer.fetches();
        assert!((30..=101).contains(&fetches), "{lifetime} ms: {fetches} fetches");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_lifetime_is_renewed_as_the_default_says() {
    let issuer = Issuer::default();
    let cache = kept_fresh(&issuer);
    token(&cache).await;
    throughout(seconds(3000), || cache.status().has_token()).await;
    assert!((10..=13).contains(&issuer.fetches()), "{}", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_expire_wakes_nothing_up() {
    let looks = Arc::new(Mutex::new(0));
    let counted = looks.clone();
    let issuer = Issuer::of(Duration::MAX);
    let cache = TokenCache::builder()
        .wall_clock(move || {
            *counted.lock().unwrap() += 1;
            SystemTime::UNIX_EPOCH
        })
        .keep_fresh()
        .build(issuer.clone());
    token(&cache).await;
    settle().await;
    let before = *looks.lock().unwrap();
    sleep(seconds(365 * 24 * 3600)).await;
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(*looks.lock().unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_replaced_though_nobody_asks() {
    for lifetime in [seconds(3600), Duration::MAX] {
        let issuer = Issuer::of(lifetime);
        let cache = kept_fresh(&issuer);
        let old = cache.token().await.unwrap();
        sleep(seconds(10)).await;
        cache.reject(&old);
        settle().await;
        assert_eq!(issuer.lock().reasons, [FetchReason::Empty, FetchReason::Rejected]);
        assert_eq!(issuer.lock().rejected, ["t1"]);
        assert!(!cache.status().is_rejected());
    }
}

#[tokio::test(start_paused = true)]
async fn it_adds_no_fetches_to_those_of_an_api_that_rejects_all() {
    let issuer = Issuer::of(seconds(12 * 3600));
    let cache = kept_fresh(&issuer);
    for _ in 0..600 {
        let refused = cache.token().await.unwrap();
        cache.reject(&refused);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(issuer.fetches() as u32 <= 2 + handful(seconds(60)), "{}", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_made_up_for_within_a_minute_of_a_suspension() {
    let start = (Instant::now(), SystemTime::now());
    let suspended = Arc::new(Mutex::new(Duration::ZERO));
    let read = suspended.clone();
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::builder()
        .wall_clock(move || start.1 + start.0.elapsed() + *read.lock().unwrap())
        .keep_fresh()
        .build(issuer.clone());
    token(&cache).await;
    sleep(seconds(100)).await;
    *suspended.lock().unwrap() = seconds(3600);
    assert!(!cache.status().has_token());
    sleep(seconds(61)).await;
    assert!(cache.status().has_token());
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_clone() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for lifetime in [Duration::ZERO, seconds(300), Duration::MAX] {
        let issuer = Issuer::of(lifetime);
        let cache = kept_fresh(&issuer);
        let other = cache.clone();
        token(&cache).await;
        drop(cache);
        sleep(seconds(1000)).await;
        assert_eq!(tasks(), 1, "{lifetime:?}");
        let fetches = issuer.fetches();
        drop(other);
        settle().await;
        assert_eq!(tasks(), 0, "{lifetime:?}");
        sleep(seconds(1000)).await;
        assert_eq!(issuer.fetches(), fetches);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_frees_the_fetcher_during_a_renewal_too() {
    let issuer = Issuer::of(seconds(300));
    let held = Arc::new(());
    let fetcher = {
        let (issuer, held) = (issuer.clone(), held.clone());
        fetch_fn(move |context| {
            let (issuer, held) = (issuer.clone(), held.clone());
            async move {
                let token = tower_bearer::TokenFetcher::fetch(&issuer, context).await;
                drop(held);
                token
            }
        })
    };
    let cache = TokenCache::builder().keep_fresh().build(fetcher);
    token(&cache).await;
    issuer.lock().latency = seconds(5);
    let started = Instant::now();
    while !cache.status().is_fetching() {
        assert!(started.elapsed() < seconds(300));
        sleep(seconds(1)).await;
    }
    drop(cache);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(issuer.lock().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn many_callers_and_fetches_have_one_task() {
    let issuer = Issuer::of(seconds(60));
    let cache = kept_fresh(&issuer);
    for _ in 0..100 {
        let token = cache.token().await.unwrap();
        cache.reject(&token);
        // All timers at once, so that the task is late.
        advance(seconds(50)).await;
        token_of_many(&cache).await;
        settle().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    }
}

async fn token_of_many(cache: &TokenCache) {
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.token().await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
}

#[test]
fn a_token_on_another_runtime_restarts_it_after_a_shutdown() {
    let issuer = Issuer::of(seconds(300));
    let cache = kept_fresh(&issuer);
    runtime().block_on(async {
        token(&cache).await;
        token(&cache).await;
    });
    runtime().block_on(async {
        // A hit, as the one before.
        token(&cache).await;
        assert_eq!(issuer.fetches(), 1);
        throughout(seconds(3000), || cache.status().has_token()).await;
        assert!((10..=14).contains(&issuer.fetches()), "{}", issuer.fetches());
    });
}

#[test]
fn a_first_fetch_lost_with_its_runtime_starts_on_the_next() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let cache = kept_fresh(&issuer);
    runtime().block_on(async { timeout(seconds(1), token(&cache)).await.unwrap_err() });
    runtime().block_on(async {
        token(&cache).await;
        throughout(seconds(3000), || cache.status().has_token()).await;
    });
}

#[test]
fn a_runtime_that_came_and_went_does_not_take_it_away() {
    let issuer = Issuer::of(seconds(300));
    let cache = kept_fresh(&issuer);
    runtime().block_on(async {
        token(&cache).await;
        let old = cache.peek().unwrap();
        settle().await;
        let other = cache.clone();
        std::thread::spawn(move || {
            runtime().block_on(async {
                other.reject(&old);
                token(&other).await;
            });
        })
        .join()
        .unwrap();
        throughout(seconds(3000), || cache.status().has_token()).await;
    });
}

#[test]
fn a_wall_clock_that_panics_once_ends_it_until_the_next_token() {
    let issuer = Issuer::of(seconds(300));
    let panics = Arc::new(Mutex::new(false));
    let read = panics.clone();
    let cache = TokenCache::builder()
        .wall_clock(move || {
            if std::mem::take(&mut *read.lock().unwrap()) {
                std::panic::resume_unwind(Box::new("a bug in the clock"));
            }
            SystemTime::UNIX_EPOCH
        })
        .keep_fresh()
        .build(issuer.clone());
    runtime().block_on(async {
        token(&cache).await;
        settle().await;
        *panics.lock().unwrap() = true;
        sleep(seconds(100)).await;
        assert!(!*panics.lock().unwrap());
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        token(&cache).await;
        throughout(seconds(3000), || cache.status().has_token()).await;
    });
}

#[tokio::test(start_paused = true)]
async fn each_failed_renewal_is_a_change_and_each_good_one() {
    let fails = Arc::new(Mutex::new(true));
    let failing = fails.clone();
    let cache = TokenCache::builder().keep_fresh().build(fetch_fn(move |_| {
        let fails = *failing.lock().unwrap();
        async move {
            match fails {
                true => Err(TokenError::unavailable("down")),
                false => Ok(Token::bearer("abc")?.expires_in(seconds(60))),
            }
        }
    }));
    let mut changes = cache.changes();
    cache.token().await.unwrap_err();
    for _ in 0..3 {
        assert!(matches!(next(&mut changes).await, TokenChange::Failed(_)));
    }
    *fails.lock().unwrap() = false;
    assert!(matches!(next(&mut changes).await, TokenChange::Fetched));
    assert!(matches!(next(&mut changes).await, TokenChange::Renewed));
}
