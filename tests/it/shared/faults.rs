//! A store that fails, a process that dies: what it costs, and what it does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tower_bearer::{
    BoxError, FetchContext, Shared, StoreEntry, Token, TokenCache, TokenError, TokenStore, fetch_fn,
};

use super::faulty_store::{FaultyStore, StoreFault};
use super::support::{Fleet, all};
use crate::support::{Issuer, Trouble, seconds};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn faults() -> Vec<StoreFault> {
    vec![
        StoreFault::Error,
        StoreFault::Hang,
        StoreFault::HangAfter,
        StoreFault::Panic,
        StoreFault::ReadOnly,
        StoreFault::DropWrites,
        StoreFault::RefuseLocks,
        StoreFault::GrantAllLocks,
        StoreFault::Answer(Bytes::new()),
        StoreFault::Answer(Bytes::from_static(b"\x01garbage")),
        StoreFault::Answer(Bytes::from_static(b"\x02garbage")),
        StoreFault::Answer(Bytes::from_static(b"\x07")),
        StoreFault::Answer(vec![1; 64 * 1024 + 1].into()),
    ]
}

async fn token(cache: &TokenCache) -> String {
    cache.token().await.unwrap().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn whatever_the_store_does_a_token_takes_one_token_request() {
    for fault in faults() {
        let fleet = Fleet::of(Issuer::of(seconds(300)));
        fleet.store.fault(fault.clone());
        for n in 1..=3 {
            let replica = fleet.replica();
            let begun = Instant::now();
            let token = token(&replica).await;
            // Three quarters of the fetch timeout, where locks are refused.
            assert!(begun.elapsed() <= millis(7510), "{fault:?}: {:?}", begun.elapsed());
            assert!(fleet.issuer.fetches() <= n, "{fault:?}");
            replica.reject(&Token::bearer(&token).unwrap());
            assert_ne!(self::token(&replica).await, token, "{fault:?}");
            fleet.issuer.lock().reasons.truncate(n);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_costs_no_longer_than_its_timeout() {
    for (fault, most) in [
        (StoreFault::Error, millis(0)),
        (StoreFault::Panic, millis(0)),
        (StoreFault::Hang, millis(250)),
        (StoreFault::HangAfter, millis(250)),
    ] {
        let fleet = Fleet::of(Issuer::of(seconds(300)));
        fleet.store.fault(fault.clone());
        let begun = Instant::now();
        fleet.replica().token().await.unwrap();
        // Tokio's timer is exact to a millisecond.
        assert!(begun.elapsed() <= most + millis(1), "{fault:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_timeout_is_at_most_an_eighth_of_the_fetch_timeout() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.store.fault(StoreFault::Hang);
    let cache = TokenCache::builder().fetch_timeout(millis(400)).build(fleet.shared());
    let begun = Instant::now();
    cache.token().await.unwrap();
    assert!(begun.elapsed() <= millis(51), "{:?}", begun.elapsed());

    let shared = fleet.shared().store_timeout(millis(20));
    let begun = Instant::now();
    TokenCache::new(shared).token().await.unwrap();
    assert!(begun.elapsed() <= millis(21), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_store_is_left_alone_for_5_s_and_then_shares_again() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let replica = fleet.replica();
    fleet.store.fault(StoreFault::Error);
    token(&replica).await;
    assert_eq!(fleet.store.operations(), 1);

    fleet.store.work_normally();
    sleep(millis(4900)).await;
    replica.reject(&replica.peek().unwrap());
    token(&replica).await;
    assert_eq!(fleet.store.operations(), 1, "it was asked too early");
    assert!(fleet.store.entries().is_empty());

    sleep(millis(2600)).await;
    replica.reject(&replica.peek().unwrap());
    let renewed = token(&replica).await;
    assert_eq!(fleet.store.entries().len(), 1);
    assert_eq!(token(&fleet.replica()).await, renewed);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_at_any_moment_fails_no_fetch() {
    // Each operation takes 10 ms, and the token request 100 ms.
    for moment in 0..200 {
        for fault in [StoreFault::Error, StoreFault::Hang, StoreFault::ReadOnly] {
            let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(100)));
            fleet.store.latency(millis(10));
            let replicas = fleet.replicas(3);
            let fetching = tokio::spawn(async move { all(&replicas).await });
            sleep(millis(moment)).await;
            fleet.store.fault(fault);
            assert_eq!(fetching.await.unwrap().len(), 3);
            assert!(fleet.issuer.fetches() <= 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_replica_costs_the_others_one_token_request_at_most() {
    for moment in 0..200 {
        let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(100)));
        fleet.store.latency(millis(10));
        let doomed = fleet.replica();
        let waiting = tokio::spawn({
            let doomed = doomed.clone();
            async move { doomed.token().await.map(drop) }
        });
        sleep(millis(moment)).await;
        waiting.abort();
        drop(doomed);
        let _ = waiting.await;

        let begun = Instant::now();
        let patient = || TokenCache::builder().fetch_timeout(seconds(60)).build(fleet.shared());
        let tokens = all(&[patient(), patient(), patient(), patient(), patient()]).await;
        // The lease, a pause of the one that fetches and of one that waits, and the fetch.
        let most = millis(3000 + 1000 + 1000 + 200);
        assert!(begun.elapsed() < most, "{moment}: {:?}", begun.elapsed());
        assert_eq!(tokens, vec![tokens[0].clone(); 5], "{moment}");
        assert!(fleet.issuer.fetches() <= 2, "{moment}: {}", fleet.issuer.fetches());
    }
}

#[tokio::test(start_paused = true)]
async fn all_wait_longer_than_a_lease_for_a_slow_issuer() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(4900)));
    let tokens = all(&fleet.replicas(10)).await;
    assert_eq!(tokens, vec!["t1"; 10]);
    assert_eq!(fleet.issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_too_slow_issuer_still_gives_all_the_first_token() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(6)));
    let tokens = all(&fleet.replicas(10)).await;
    assert_eq!(tokens, vec!["t1"; 10]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_given_a_long_time_is_shared_too() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(2500)));
    let shared = || fleet.shared().store_timeout(seconds(10));
    let replicas: Vec<_> =
        (0..10).map(|_| TokenCache::builder().fetch_timeout(seconds(60)).build(shared())).collect();
    assert_eq!(all(&replicas).await, vec!["t1"; 10]);
    assert_eq!(fleet.issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_so_long_that_its_own_fetch_would_be_late() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.issuer.trouble(Trouble::Hangs);
    let stuck = fleet.replica();
    tokio::spawn(async move { stuck.token().await.map(drop) });
    sleep(millis(1)).await;

    fleet.issuer.trouble(None);
    let begun = Instant::now();
    assert_eq!(token(&fleet.replica()).await, "t1");
    let waited = begun.elapsed();
    assert!((millis(5000)..=millis(7501)).contains(&waited), "{waited:?}");
}

/// The way of one replica to the store, which can be cut.
#[derive(Clone)]
struct Link {
    store: FaultyStore,
    is_cut: Arc<AtomicBool>,
}

impl Link {
    fn check(&self) -> Result<(), BoxError> {
        match self.is_cut.load(Ordering::Relaxed) {
            true => Err("cut".into()),
            false => Ok(()),
        }
    }
}

impl TokenStore for Link {
    type Error = BoxError;

    async fn load(&self, key: &str) -> Result<Option<StoreEntry>, BoxError> {
        self.check()?;
        self.store.load(key).await
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> Result<bool, BoxError> {
        self.check()?;
        self.store.lock(key, owner, lease).await
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> Result<bool, BoxError> {
        self.check()?;
        self.store.store(key, owner, value, expires_in).await
    }

    async fn unlock(&self, key: &str, owner: &str) -> Result<(), BoxError> {
        self.check()?;
        self.store.unlock(key, owner).await
    }

    fn is_private(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_lost_its_lease_uses_the_newer_token() {
    // Its way to the store is cut while it prolongs, and is whole again before it would prolong once more or store.
    for whole_again in [millis(4700), millis(4950)] {
        let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(5)));
        let link = Link { store: fleet.store.clone(), is_cut: Arc::default() };
        let late = TokenCache::new(Shared::new(fleet.issuer.clone(), link.clone()).name("orders"));
        let late = tokio::spawn(async move { token(&late).await });
        sleep(millis(500)).await;
        link.is_cut.store(true, Ordering::Relaxed);
        fleet.issuer.lock().latency = millis(100);
        assert_eq!(token(&fleet.replica()).await, "t1");
        sleep(whole_again.saturating_sub(fleet.began.elapsed())).await;
        link.is_cut.store(false, Ordering::Relaxed);
        assert_eq!(late.await.unwrap(), "t1", "{whole_again:?}");
        assert_eq!(token(&fleet.replica()).await, "t1");
        assert_eq!(fleet.issuer.fetches(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_prolong_its_lease_stores_nothing() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(1500)));
    let link = Link { store: fleet.store.clone(), is_cut: Arc::default() };
    let late = TokenCache::new(Shared::new(fleet.issuer.clone(), link.clone()).name("orders"));
    let late = tokio::spawn(async move { token(&late).await });
    sleep(millis(500)).await;
    link.is_cut.store(true, Ordering::Relaxed);
    sleep(millis(700)).await;
    link.is_cut.store(false, Ordering::Relaxed);
    assert_eq!(late.await.unwrap(), "t1");
    assert!(fleet.store.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_lost_its_lease_to_nobody_uses_its_own_token() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(900)));
    let late = fleet.replica();
    let late = tokio::spawn(async move { token(&late).await });
    sleep(millis(500)).await;
    fleet.store.evict();
    assert_eq!(late.await.unwrap(), "t1");
    assert!(fleet.store.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_replaced_only_while_it_is_shared() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let (one, two) = (fleet.replica(), fleet.replica());
    all(&[one.clone(), two.clone()]).await;
    for replica in [&one, &two] {
        replica.reject(&replica.peek().unwrap());
        assert_eq!(token(replica).await, "t2");
    }
    assert_eq!(fleet.issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_due_token_serves_a_new_replica_while_the_issuer_is_down() {
    for trouble in [Trouble::Down, Trouble::Refuses, Trouble::Hangs] {
        let fleet = Fleet::of(Issuer::of(seconds(300)));
        assert_eq!(token(&fleet.replica()).await, "t1");
        sleep(seconds(280)).await;
        fleet.issuer.trouble(trouble);
        let cache = fleet.replica();
        assert_eq!(token(&cache).await, "t1", "{trouble:?}");

        let left = cache.status().expires_in().unwrap();
        assert!(left <= seconds(20), "{trouble:?}: {left:?}");
        sleep(seconds(20)).await;
        assert!(fleet.replica().token().await.is_err(), "{trouble:?}: it has expired");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_during_the_fetch_is_no_fallback() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    token(&fleet.replica()).await;
    sleep(seconds(290)).await;
    fleet.issuer.trouble(Trouble::Hangs);
    let begun = Instant::now();
    assert!(fleet.replica().token().await.unwrap_err().is_timeout());
    // The issuer had nearly all of the fetch timeout, and the token seven seconds.
    assert!(begun.elapsed() >= seconds(8), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_no_fallback() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let replica = fleet.replica();
    let first = replica.token().await.unwrap();
    sleep(seconds(280)).await;
    fleet.issuer.trouble(Trouble::Down);
    replica.reject(&first);
    let shared = fleet.replica();
    // What lies there is due, and nobody has rejected it here.
    assert_eq!(token(&shared).await, "t1");
    assert!(replica.status().is_rejected());
    let _ = replica.token().await;
    assert!(replica.status().is_rejected(), "the rejected token took its own place");
}

#[tokio::test(start_paused = true)]
async fn a_token_from_the_store_lasts_no_longer_than_it_was_issued() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(2)));
    fleet.store.latency(millis(100));
    let begun = Instant::now();
    token(&fleet.replica()).await;
    sleep(seconds(100)).await;
    let late = fleet.replica();
    token(&late).await;
    let ends = begun.elapsed() + late.status().expires_in().unwrap();
    assert!(ends <= seconds(300) + millis(300), "{ends:?}");
    assert!(ends >= seconds(295), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_states_a_longer_life_prolongs_no_token() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    token(&fleet.replica()).await;
    let (_, entry) = fleet.store.entries().remove(0);
    // There for an hour.
    fleet.store.fault(StoreFault::Answer(entry));
    let replica = fleet.replica();
    assert_eq!(token(&replica).await, "t1");
    assert!(replica.status().expires_in().unwrap() <= seconds(300));
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_client_is_not_used() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let other = TokenCache::new(fleet.shared().name("billing"));
    assert_eq!(token(&other).await, "t1");
    let (_, entry) = fleet.store.entries().remove(0);
    fleet.store.fault(StoreFault::Answer(entry));
    assert_eq!(token(&fleet.replica()).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_truncated_entry_is_not_used() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    token(&fleet.replica()).await;
    let (_, entry) = fleet.store.entries().remove(0);
    for length in 0..entry.len() {
        let fetches = fleet.issuer.fetches();
        fleet.store.fault(StoreFault::Answer(entry.slice(..length)));
        token(&fleet.replica()).await;
        assert_eq!(fleet.issuer.fetches(), fetches + 1, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clocks_that_differ_by_a_day_change_nothing() {
    const DAY: Duration = Duration::from_secs(86_400);
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(millis(100)));
    let clocks: [fn() -> SystemTime; 3] =
        [SystemTime::now, || SystemTime::now() + DAY, || SystemTime::now() - DAY];
    let replicas = clocks.map(|now| TokenCache::builder().wall_clock(now).build(fleet.shared()));
    let hour = Instant::now() + seconds(3600);
    while Instant::now() < hour {
        let tokens = all(&replicas).await;
        assert!(tokens.iter().all(|token| !fleet.issuer.has_expired(token, Instant::now())));
        sleep(seconds(1)).await;
    }
    assert!((13..=16).contains(&fleet.issuer.fetches()), "{}", fleet.issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn an_eviction_costs_a_token_request_and_no_more() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let replicas = fleet.replicas(5);
    all(&replicas).await;
    fleet.store.evict();
    assert_eq!(all(&replicas).await, vec!["t1"; 5]);
    assert_eq!(all(&fleet.replicas(5)).await, vec!["t2"; 5]);
    assert_eq!(fleet.issuer.fetches(), 2);
}

/// The token that a second replica gets, and how long it is good there.
async fn second(lifetime: Option<Duration>) -> (Fleet, Token, Option<Duration>) {
    let issuer = Issuer::default();
    issuer.lock().lifetime = lifetime;
    let fleet = Fleet::of(issuer);
    fleet.replica().token().await.unwrap();
    sleep(seconds(100)).await;
    let replica = fleet.replica();
    let token = replica.token().await.unwrap();
    let left = replica.status().expires_in();
    (fleet, token, left)
}

#[tokio::test(start_paused = true)]
async fn a_token_of_unknown_lifetime_is_shared_for_five_minutes() {
    let (fleet, token, left) = second(None).await;
    assert_eq!(token.expose(), "t1");
    assert!((seconds(195)..=seconds(200)).contains(&left.unwrap()), "{left:?}");
    sleep(seconds(200)).await;
    assert_eq!(self::token(&fleet.replica()).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_expire_is_shared_for_a_day() {
    let (fleet, token, left) = second(Some(Duration::MAX)).await;
    assert_eq!(token.expose(), "t1");
    assert_eq!(left, Some(Duration::MAX));
    sleep(seconds(86_400)).await;
    assert!(fleet.store.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_without_lifetime_is_not_shared() {
    let (fleet, token, _) = second(Some(Duration::ZERO)).await;
    assert_eq!(token.expose(), "t2");
    assert!(fleet.store.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_large_to_share_is_used_by_each_replica() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let store = FaultyStore::default();
    for n in 1..=2 {
        let fetches = fetches.clone();
        let fetcher = fetch_fn(move |_: FetchContext| {
            fetches.fetch_add(1, Ordering::Relaxed);
            async {
                Ok::<_, TokenError>(Token::bearer(&"x".repeat(70_000))?.expires_in(seconds(300)))
            }
        });
        let begun = Instant::now();
        TokenCache::new(Shared::new(fetcher, store.clone()).name("large")).token().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "the lock was not let go");
        assert_eq!(n, store.operations() / 4);
    }
    assert_eq!(fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn scope_and_prefix_arrive_with_the_token() {
    let store = FaultyStore::default();
    let fetches = Arc::new(AtomicUsize::new(0));
    let replica = || {
        let fetches = fetches.clone();
        let fetcher = fetch_fn(move |_: FetchContext| {
            fetches.fetch_add(1, Ordering::Relaxed);
            async {
                let token = Token::prefixed("Token ", "a\"\\b")?.scope("orders:read \u{e9}");
                Ok::<_, TokenError>(token.expires_in(seconds(300)))
            }
        });
        TokenCache::new(Shared::new(fetcher, store.clone()).name("orders"))
    };
    let (one, two) = (replica().token().await.unwrap(), replica().token().await.unwrap());
    assert_eq!(fetches.load(Ordering::Relaxed), 1);
    assert_eq!(two.header_value(), one.header_value());
    assert_eq!(two.expose(), "a\"\\b");
    assert_eq!(two.granted_scope(), Some("orders:read \u{e9}"));
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_free_does_not_hold_up_for_years() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.store.fault(StoreFault::RefuseLocks);
    let begun = Instant::now();
    let cache = TokenCache::builder().fetch_timeout(Duration::MAX).build(fleet.shared());
    token(&cache).await;
    assert!(begun.elapsed() <= seconds(46), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_is_no_fault_of_the_store() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.store.latency(millis(1));
    fleet.issuer.trouble(Trouble::Hangs);
    let cache = fleet.replica();
    assert!(cache.token().await.unwrap_err().is_timeout());
    // The lock runs out, and the store is not left alone.
    fleet.issuer.trouble(None);
    sleep(seconds(4)).await;
    let before = fleet.store.operations();
    token(&cache).await;
    assert_eq!(fleet.store.operations(), before + 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_timeout_of_zero_is_an_error_that_names_the_cure() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let cache = TokenCache::new(fleet.shared().store_timeout(Duration::ZERO));
    let error = cache.token().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("`Shared::store_timeout`"), "{error}");
}
