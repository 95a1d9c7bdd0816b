//! A cache for each key.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tower_bearer::{Token, TokenCache, TokenCaches, TokenCachesBuilder, TokenError, fetch_fn};

use super::NamedIssuer;
use crate::support::*;

/// An issuer for each key, which remains when the key's cache has gone.
#[derive(Clone, Default)]
struct Issuers(Arc<Mutex<HashMap<u32, NamedIssuer>>>);

impl Issuers {
    fn of(&self, key: u32) -> NamedIssuer {
        let mut issuers = self.0.lock().unwrap();
        issuers.entry(key).or_insert_with(|| NamedIssuer::new(&format!("k{key}"))).clone()
    }

    fn caches(&self) -> TokenCaches<u32> {
        self.build(TokenCaches::builder())
    }

    fn build(&self, builder: TokenCachesBuilder) -> TokenCaches<u32> {
        let issuers = self.clone();
        builder.build(move |&key: &u32| Ok::<_, TokenError>(issuers.of(key)))
    }

    /// Keeps so many caches.
    fn at_most(&self, capacity: usize) -> TokenCaches<u32> {
        self.build(TokenCaches::builder().capacity(capacity))
    }

    /// Keeps them for so long.
    fn for_at_most(&self, idle: Duration) -> TokenCaches<u32> {
        self.build(TokenCaches::builder().idle(idle))
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().values().map(NamedIssuer::asked).sum()
    }
}

async fn token(caches: &TokenCaches<u32>, key: u32) -> Result<String, TokenError> {
    caches.get(&key)?.token().await.map(|token| token.expose().to_owned())
}

#[tokio::test(start_paused = true)]
async fn two_callers_with_a_new_key_get_the_same_cache() {
    let issuers = Issuers::default();
    let caches = issuers.caches();
    let clone = caches.clone();
    let (one, other) = tokio::join!(token(&caches, 1), token(&clone, 1));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(issuers.asked(), 1);
}

#[test]
fn threads_that_ask_for_a_new_key_at_once_get_the_same_cache() {
    for _ in 0..50 {
        let issuers = Issuers::default();
        let caches = issuers.caches();
        let barrier = std::sync::Barrier::new(8);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let got: Vec<TokenCache> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        caches.get(&1).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for cache in got {
            assert_eq!(runtime.block_on(cache.token()).unwrap().expose(), "k1-1");
        }
        assert_eq!(issuers.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn two_threads_may_make_a_cache_for_one_key_at_once() {
    let issuers = Issuers::default();
    let within = Arc::new((Mutex::new(0), Condvar::new()));
    let caches = TokenCaches::new({
        let (issuers, within) = (issuers.clone(), within.clone());
        move |&key: &u32| {
            let (count, came) = &*within;
            let mut count = count.lock().unwrap();
            *count += 1;
            came.notify_all();
            drop(came.wait_timeout_while(count, seconds(10), |count| *count < 2).unwrap());
            Ok::<_, TokenError>(issuers.of(key))
        }
    });
    let got = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| caches.get(&1))).map(|thread| thread.join().unwrap())
    });
    assert_eq!(*within.0.lock().unwrap(), 2);
    for cache in got {
        assert_eq!(cache.unwrap().token().await.unwrap().expose(), "k1-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_evicted_serves_those_who_have_it() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(1);
    let first = caches.get(&1).unwrap();
    assert_eq!(first.token().await.unwrap().expose(), "k1-1");
    for key in 2..100 {
        token(&caches, key).await.unwrap();
    }
    assert!(caches.peek(&1).is_none());
    assert_eq!(first.token().await.unwrap().expose(), "k1-1");
    assert_eq!(
        token(&caches, 1).await.unwrap(),
        "k1-2",
        "a key that is asked for again starts anew"
    );
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_than_its_capacity() {
    let issuers = Issuers::default();
    for capacity in [1, 10, 1000] {
        let caches = issuers.at_most(capacity);
        for key in 0..5_000 {
            let _ = caches.get(&key).unwrap();
        }
        let kept = (0..5_000).filter(|key| caches.peek(key).is_some()).count();
        assert!((1..=capacity).contains(&kept), "{kept} of {capacity}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_used_all_the_time_is_not_evicted_by_others() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(100);
    for key in 1..10_000 {
        assert_eq!(token(&caches, 0).await.unwrap(), "k0-1");
        let _ = caches.get(&key).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_not_used_is_dropped_and_one_that_is_stays() {
    let issuers = Issuers::default();
    let caches = issuers.for_at_most(seconds(600));
    token(&caches, 1).await.unwrap();
    token(&caches, 2).await.unwrap();
    for _ in 0..12 {
        tokio::time::advance(seconds(60)).await;
        token(&caches, 2).await.unwrap();
    }
    // Another key is new, so the idle ones are looked for.
    token(&caches, 3).await.unwrap();
    assert!(caches.peek(&1).is_none());
    assert!(caches.peek(&2).is_some());
}

#[tokio::test(start_paused = true)]
async fn idle_caches_are_dropped_though_no_key_is_new() {
    let issuers = Issuers::default();
    let caches = issuers.for_at_most(seconds(600));
    token(&caches, 1).await.unwrap();
    token(&caches, 2).await.unwrap();
    tokio::time::advance(seconds(590)).await;
    token(&caches, 2).await.unwrap();
    tokio::time::advance(seconds(90)).await;
    // One look-up in 256 looks for idle ones.
    for _ in 0..10_000 {
        let _ = caches.get(&2).unwrap();
    }
    assert!(caches.peek(&1).is_none());
    assert!(caches.peek(&2).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_look_up_never_drops_the_cache_that_it_returns() {
    let issuers = Issuers::default();
    let caches = issuers.for_at_most(seconds(60));
    // One look-up in 256 looks for idle ones.
    for _ in 0..2_000 {
        token(&caches, 1).await.unwrap();
        let asked = issuers.of(1).asked();
        token(&caches, 1).await.unwrap();
        assert_eq!(issuers.of(1).asked(), asked, "two calls at once");
        tokio::time::advance(seconds(70)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_remembered_however_many_other_keys_there_are() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(1);
    issuers.of(1).is_down(true);
    for round in 0..100 {
        assert!(token(&caches, 1).await.unwrap_err().is_transient());
        token(&caches, 100 + round).await.unwrap();
    }
    assert_eq!(issuers.of(1).asked(), 1, "a hundred other keys within a second");
    tokio::time::advance(seconds(1)).await;
    assert!(token(&caches, 1).await.is_err());
    assert_eq!(issuers.of(1).asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn forced_fetches_are_remembered_however_many_other_keys_there_are() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(1);
    let mut forced = 0;
    // Each token is refused, as by an API that refuses everything.
    for round in 0..100 {
        let cache = caches.get(&1).unwrap();
        let refused = cache.token().await.unwrap();
        cache.reject(&refused);
        let before = issuers.of(1).asked();
        cache.token().await.unwrap();
        forced += issuers.of(1).asked() - before;
        token(&caches, 100 + round).await.unwrap();
    }
    assert!(forced <= handful(Duration::ZERO), "{forced} forced fetches at once");
}

#[tokio::test(start_paused = true)]
async fn as_many_failed_keys_as_the_capacity_are_remembered_beside_the_others() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(10);
    for key in 0..10 {
        issuers.of(key).is_down(true);
    }
    for round in 0..20 {
        for key in 0..10 {
            assert!(token(&caches, key).await.is_err());
        }
        for key in 0..10 {
            token(&caches, 100 + 10 * round + key).await.unwrap();
        }
    }
    assert_eq!((0..10).map(|key| issuers.of(key).asked()).sum::<u32>(), 10);
}

/// Rejects the token of each of these keys once.
async fn reject(caches: &TokenCaches<u32>, issuers: &Issuers, keys: Range<u32>) -> u32 {
    let mut forced = 0;
    for key in keys {
        let cache = caches.get(&key).unwrap();
        let rejected = cache.token().await.unwrap();
        let before = issuers.of(key).asked();
        cache.reject(&rejected);
        cache.token().await.unwrap();
        forced += issuers.of(key).asked() - before;
    }
    forced
}

#[tokio::test(start_paused = true)]
async fn new_keys_share_a_budget_while_more_are_in_trouble_than_can_be_kept() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(16);
    assert_eq!(reject(&caches, &issuers, 0..16).await, 16, "each has a budget of its own");
    let forced = reject(&caches, &issuers, 100..1_100).await;
    // The first of them is not yet known to be too many.
    assert!(forced <= 1 + 10, "{forced} forced fetches of a thousand keys");
    tokio::time::advance(seconds(60)).await;
    assert_eq!(reject(&caches, &issuers, 2_000..2_016).await, 16, "when the trouble is over");
}

#[tokio::test(start_paused = true)]
async fn of_too_many_in_trouble_the_one_goes_that_is_free_soonest() {
    let issuers = Issuers::default();
    let caches = issuers.at_most(4);
    assert_eq!(reject(&caches, &issuers, 0..4).await, 4);
    // A failure is remembered for a second, a forced fetch for longer.
    for key in 10..50 {
        issuers.of(key).is_down(true);
        assert!(token(&caches, key).await.is_err());
    }
    assert!((0..4).all(|key| caches.peek(&key).is_some()));
    let kept = (10..50).filter(|key| caches.peek(key).is_some()).count();
    assert!(kept <= 4, "{kept} caches of failed keys");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_known_take_no_room_from_those_that_are() {
    let caches = TokenCaches::builder().capacity(10).build(|&key: &u32| match key {
        0..10 => Ok(NamedIssuer::new("t")),
        _ => Err(UnknownTenant(key)),
    });
    for key in (0..10).chain(100..10_000) {
        let _ = caches.get(&key);
    }
    assert!((0..10).all(|key| caches.peek(&key).is_some()));
}

#[derive(Debug)]
struct UnknownTenant(u32);

impl fmt::Display for UnknownTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown tenant {}", self.0)
    }
}

impl std::error::Error for UnknownTenant {}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_is_remembered_like_a_failed_fetch() {
    let calls = Arc::new(Mutex::new(0));
    let caches = TokenCaches::new({
        let calls = calls.clone();
        move |&key: &u32| {
            *calls.lock().unwrap() += 1;
            Err::<TokenCache, _>(UnknownTenant(key))
        }
    });
    for _ in 0..100 {
        let error = caches.get(&7).unwrap_err();
        assert!(error.is_selection());
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.downcast_ref::<UnknownTenant>().unwrap().0, 7);
    }
    assert_eq!(*calls.lock().unwrap(), 1);
    assert!(caches.get(&7).unwrap_err().retry_after().is_some());
    tokio::time::advance(seconds(1)).await;
    caches.get(&7).unwrap_err();
    tokio::time::advance(seconds(1)).await;
    caches.get(&7).unwrap_err();
    assert_eq!(*calls.lock().unwrap(), 2, "remembered for twice as long");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_breaks_nothing() {
    let panics = AtomicBool::new(true);
    let caches = TokenCaches::new(move |&key: &u32| {
        if key == 7 && panics.swap(false, Ordering::Relaxed) {
            resume_unwind(Box::new("a bug in the function"));
        }
        Ok::<_, TokenError>(NamedIssuer::new("t"))
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| caches.get(&7))).unwrap_err();
    assert_eq!(panicked.downcast_ref(), Some(&"a bug in the function"));
    assert_eq!(token(&caches, 8).await.unwrap(), "t-1");
    assert_eq!(token(&caches, 7).await.unwrap(), "t-1", "nothing is remembered of it");
}

#[tokio::test(start_paused = true)]
async fn a_function_may_ask_for_a_key_even_its_own() {
    let all: Arc<OnceLock<TokenCaches<u32>>> = Arc::default();
    let calls = AtomicU32::new(0);
    let caches = TokenCaches::new({
        let all = all.clone();
        move |&key: &u32| match (key, calls.fetch_add(1, Ordering::Relaxed)) {
            (1, 0) => all.get().unwrap().get(&1),
            (4, _) => all.get().unwrap().get(&5),
            _ => Ok(NamedIssuer::new("t").into()),
        }
    });
    assert!(all.set(caches.clone()).is_ok());
    assert_eq!(token(&caches, 1).await.unwrap(), "t-1");
    assert_eq!(token(&caches, 1).await.unwrap(), "t-1");
    let (one, other) = (caches.get(&4).unwrap(), caches.get(&5).unwrap());
    one.token().await.unwrap();
    assert!(other.peek().is_some(), "they are the same");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_issuer_is_not_seen_by_another() {
    let issuers = Issuers::default();
    let caches = issuers.caches();
    issuers.of(1).is_down(true);
    assert!(token(&caches, 1).await.is_err());
    assert_eq!(token(&caches, 2).await.unwrap(), "k2-1");
}

#[tokio::test(start_paused = true)]
async fn warm_gets_the_tokens_and_says_which_there_are_not() {
    let issuers = Issuers::default();
    let caches = issuers.caches();
    issuers.of(40).is_down(true);
    let failed = caches.warm(0..100).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, 40);
    assert!(failed[0].1.is_transient());
    let asked = issuers.asked();
    for key in 0..40 {
        token(&caches, key).await.unwrap();
    }
    assert_eq!(issuers.asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn no_key_is_in_debug() {
    let caches = TokenCaches::new(|tenant: &String| Ok::<_, TokenError>(NamedIssuer::new(tenant)));
    let _ = caches.get("acme").unwrap();
    assert!(!format!("{caches:?} {:?}", caches.peek("acme")).contains("acme"));
}

/// An error whose end is noticed by what asks for another key.
struct Reenters(Option<TokenCaches<u32>>);

impl fmt::Debug for Reenters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reenters")
    }
}

impl fmt::Display for Reenters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such key")
    }
}

impl std::error::Error for Reenters {}

impl Drop for Reenters {
    fn drop(&mut self) {
        if let Some(caches) = self.0.take() {
            let _ = caches.get(&0);
        }
    }
}

/// Fails for all keys but 0, until it is told not to.
fn reentering(works: Arc<AtomicBool>) -> TokenCaches<u32> {
    let all: Arc<Mutex<Option<TokenCaches<u32>>>> = Arc::default();
    let caches = TokenCaches::builder().capacity(1).build({
        let all = all.clone();
        move |&key: &u32| match key == 0 || works.load(Ordering::Relaxed) {
            true => Ok(NamedIssuer::new("t")),
            false => Err(Reenters(all.lock().unwrap().clone())),
        }
    });
    *all.lock().unwrap() = Some(caches.clone());
    caches
}

/// Fails the test where `run` would hang it.
fn ends(run: impl Future<Output = ()> + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run);
        done.send(()).unwrap();
    });
    ended.recv_timeout(seconds(10)).expect("nobody waits for a lock that it holds");
}

#[test]
fn an_error_that_is_forgotten_for_another_may_ask_for_a_key() {
    ends(async {
        let caches = reentering(Arc::default());
        for key in 1..100 {
            let _ = caches.get(&key);
        }
    });
}

#[test]
fn an_error_that_is_forgotten_for_a_cache_may_ask_for_a_key() {
    ends(async {
        let works: Arc<AtomicBool> = Arc::default();
        let caches = reentering(works.clone());
        let _ = caches.get(&1);
        works.store(true, Ordering::Relaxed);
        tokio::time::advance(seconds(2)).await;
        let _ = caches.get(&1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_key_in_constant_use_is_never_idle() {
    let issuers = Issuers::default();
    for idle in [0, 10, 500] {
        let caches = issuers.for_at_most(Duration::from_millis(idle));
        let before = issuers.of(0).asked();
        for key in 1..1_000 {
            token(&caches, 0).await.unwrap();
            let _ = caches.get(&key).unwrap();
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert_eq!(issuers.of(0).asked() - before, 1, "{idle} ms");
        assert!(caches.peek(&1).is_none(), "{idle} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_not_idle_while_its_fetch_is_under_way() {
    let issuer = Issuer::of(seconds(3600)).latency(seconds(8));
    let caches = TokenCaches::builder().idle(seconds(1)).build({
        let issuer = issuer.clone();
        move |_: &u32| Ok::<_, TokenError>(issuer.clone())
    });
    let first = caches.get(&1).unwrap();
    let first = tokio::spawn(async move { first.token().await });
    tokio::time::sleep(seconds(5)).await;
    let _ = caches.get(&2).unwrap();
    assert!(caches.get(&1).unwrap().token().await.is_ok());
    assert!(first.await.unwrap().is_ok());
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_not_evicted_during_its_fetch() {
    let asked = Arc::new(Mutex::new(0));
    let caches = TokenCaches::builder().capacity(1).build({
        let asked = asked.clone();
        move |&key: &u32| {
            let asked = asked.clone();
            Ok::<_, TokenError>(fetch_fn(move |_| {
                *asked.lock().unwrap() += u32::from(key == 1);
                async move {
                    tokio::time::sleep(seconds(5)).await;
                    Err::<Token, _>(TokenError::unavailable("down"))
                }
            }))
        }
    });
    let mut callers = Vec::new();
    for round in 0..100 {
        let cache = caches.get(&1).unwrap();
        callers.push(tokio::spawn(async move { cache.token().await }));
        tokio::task::yield_now().await;
        let _ = caches.get(&(100 + round)).unwrap();
    }
    for caller in callers {
        assert!(caller.await.unwrap().is_err());
    }
    assert_eq!(*asked.lock().unwrap(), 1, "one fetch, whatever other keys there are");
    assert!(caches.get(&1).unwrap().token().await.is_err());
    assert_eq!(*asked.lock().unwrap(), 1, "the failure is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_not_evicted_as_soon_as_it_is_made() {
    // Those in use are asked for more often than the ninth.
    for rounds in 1..20 {
        let issuers = Issuers::default();
        let caches = issuers.at_most(8);
        issuers.of(9).is_down(true);
        for _ in 0..rounds {
            token(&caches, 9).await.unwrap_err();
            for n in 0..4 * 8 {
                token(&caches, 1 + n % 8).await.unwrap();
            }
        }
        tokio::time::advance(seconds(120)).await;
        let asked = issuers.of(9).asked();
        token(&caches, 9).await.unwrap_err();
        token(&caches, 9).await.unwrap_err();
        assert_eq!(issuers.of(9).asked(), asked + 1, "the failure is remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_evicted_during_its_fetch_is_dropped_when_idle() {
    let fetches = Arc::new(Mutex::new(0));
    let caches = TokenCaches::builder().capacity(1).idle(seconds(600)).build({
        let fetches = fetches.clone();
        move |_: &u32| {
            let fetches = fetches.clone();
            let fetcher = fetch_fn(move |_| {
                *fetches.lock().unwrap() += 1;
                async {
                    tokio::time::sleep(seconds(1)).await;
                    Token::bearer("abc").map(|token| token.expires_in(seconds(60)))
                }
            });
            Ok::<_, TokenError>(TokenCache::builder().keep_fresh().build(fetcher))
        }
    });
    let cache = caches.get(&1).unwrap();
    let caller = tokio::spawn(async move { cache.token().await });
    tokio::task::yield_now().await;
    let _ = caches.get(&2).unwrap();
    caller.await.unwrap().unwrap();
    for key in 3..10 {
        tokio::time::sleep(seconds(300)).await;
        let _ = caches.get(&key).unwrap();
    }
    let before = *fetches.lock().unwrap();
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(*fetches.lock().unwrap(), before, "nobody keeps it fresh any more");
}

#[tokio::test(start_paused = true)]
async fn two_threads_with_one_new_key_use_one_cache() {
    let issuer = Issuer::of(seconds(3600)).latency(seconds(1));
    let runtime = tokio::runtime::Handle::current();
    let (all, early) = (Arc::new(OnceLock::<TokenCaches<u32>>::new()), Arc::new(OnceLock::new()));
    let caches = TokenCaches::builder().capacity(1).build({
        let (issuer, all, early) = (issuer.clone(), all.clone(), early.clone());
        let made = AtomicBool::new(false);
        move |&key: &u32| {
            if key == 1 && !made.swap(true, Ordering::Relaxed) {
                let (all, runtime) = (all.get().unwrap().clone(), runtime.clone());
                let other = std::thread::spawn(move || {
                    let _runtime = runtime.enter();
                    let cache = all.get(&1).unwrap();
                    let mut caller = Box::pin(async move { cache.token().await });
                    let polled = caller.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(polled.is_pending());
                    // The one of the first key goes.
                    let _ = all.get(&2).unwrap();
                    caller
                });
                let _ = early.set(Mutex::new(Some(tokio::spawn(other.join().unwrap()))));
            }
            Ok::<_, TokenError>(issuer.clone())
        }
    });
    let _ = all.set(caches.clone());
    let late = caches.get(&1).unwrap();
    let caller = early.get().unwrap().lock().unwrap().take().unwrap();
    late.token().await.unwrap();
    caller.await.unwrap().unwrap();
    assert_eq!(issuer.fetches(), 1);
}
