//! A bounded set of caches, one for each key.

use std::{
    borrow::Borrow,
    cell::RefCell,
    fmt,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter, sync, unsync};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cache::{Memory, TokenCache, remember},
    error::{BoxError, TokenError},
};

const CAPACITY: usize = 1_000;
const IDLE: Duration = Duration::from_secs(60 * 60);
/// How many keys are remembered for each cache that is kept.
const REMEMBERED: usize = 8;
/// How many tokens `warm` waits for at once.
const WARMED_AT_ONCE: usize = 16;

/// A [`TokenCache`] for each key, such as an audience, a tenant or a scope. Each is made when its key
/// is first asked for.
///
/// For [`BearerAuthLayer::select`](crate::BearerAuthLayer::select), and for anything else that needs many
/// tokens. Clones share the caches.
///
/// ```
/// use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCaches, TokenError, fetch_fn};
///
/// /// An extension of a request.
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// let tokens = TokenCaches::new(|tenant: &String| {
///     let token = match tenant.as_str() {
///         "acme" => "abc",
///         "initech" => "def",
///         _ => return Err(format!("there is no tenant {tenant}")),
///     };
///     Ok(fetch_fn(move |_| async move { Token::bearer(token) }))
/// })
/// .capacity(10_000);
///
/// let layer = BearerAuthLayer::select(move |head| match head.extensions.get::<Tenant>() {
///     Some(Tenant(tenant)) => tokens.get(tenant).map(Some),
///     None => Ok(None),
/// });
/// ```
///
/// # What is kept
///
/// About [`capacity`](Self::capacity) caches. When there are more, those go that are seldom asked for. A
/// cache that nobody has used for the time of [`idle`](Self::idle) goes too. A cache that goes still
/// serves those who have it. The next caller with its key gets a new one, without a token. So a key
/// whose cache has gone needs another token request.
///
/// What outlives a cache is the memory of a failed fetch, and of the fetches that rejections have forced,
/// for as long as [`TokenCache`] has it: about a minute. A fetch under way outlives it too, and its cache
/// comes back. So failures and rejections do not lead to more token requests because a cache has gone. At
/// most eight times as many keys as caches are remembered.
///
/// # In metrics, traces and `Debug`
///
/// No key is shown. All caches that are made from a fetcher have the name `default`. To give them
/// another, return a [`TokenCache`] of that [name](crate::TokenCacheBuilder::name).
#[cfg_attr(docsrs, doc(cfg(feature = "token-caches")))]
pub struct TokenCaches<K> {
    make: Arc<Make<K>>,
    capacity: usize,
    idle: Duration,
    kept: Arc<Kept<K>>,
}

type Make<K> = dyn Fn(&K) -> Result<TokenCache, TokenError> + Send + Sync;

struct Kept<K> {
    caches: Caches<K>,
    // Held while a cache is added or taken away, and never while code of the user's runs.
    rest: Mutex<Rest<K>>,
}

type Caches<K> = sync::Cache<K, TokenCache, UnitWeighter, DefaultHashBuilder, CollectEvicted>;

/// What is needed only when a key is not found.
struct Rest<K> {
    remembered: unsync::Cache<K, Remembered, UnitWeighter, DefaultHashBuilder, CollectEvicted>,
    /// The keys that `make` runs for now, and where.
    making: Vec<(ThreadId, K)>,
    swept: Instant,
}

/// What is known of a key that has no cache.
enum Remembered {
    Cache(Memory),
    /// Its cache has gone while a fetch was under way, or as soon as it was made.
    Awaited(TokenCache),
    /// No cache could be made for it.
    Failure {
        error: TokenError,
        in_a_row: u32,
        until: Instant,
    },
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> TokenCaches<K> {
    /// `make` makes the cache for a key, or the fetcher to make it from. It must not block.
    ///
    /// It is called for a key that has no cache: when it is first asked for, and again after its cache
    /// has gone. Two callers may run it at the same time for the same key; one of the two caches is used.
    ///
    /// # Errors
    ///
    /// An error of `make` reaches the callers with that key as a [`TokenError`] that
    /// [`is_selection`](TokenError::is_selection), with the error as its source. One that is a
    /// `TokenError` reaches them as it is. It is remembered as a failed fetch is: `make` is not called
    /// for that key again for 1 second, doubling to 5 if it goes on failing, or for the error's
    /// [`retry_after`](TokenError::retry_after). If `make` panics, that is such an error too.
    ///
    /// `make` may ask for another key, and return its cache. If it asks for the key that it runs for, by
    /// way of another key or not, it gets such an error.
    pub fn new<F, T, E>(make: F) -> Self
    where
        F: Fn(&K) -> Result<T, E> + Send + Sync + 'static,
        T: Into<TokenCache>,
        E: Into<BoxError>,
    {
        let make = move |key: &K| match catch_unwind(AssertUnwindSafe(|| make(key).map(T::into))) {
            Ok(made) => made.map_err(|error| TokenError::selecting(error.into())),
            Err(_) => Err(TokenError::selecting("the function that makes a cache panicked".into())),
        };
        Self { make: Arc::new(make), capacity: CAPACITY, idle: IDLE, kept: Kept::new(CAPACITY) }
    }

    /// About how many caches are kept. At least one is. The room is divided into parts by a hash of the
    /// key: a few more may be kept, and a part may be full before the others. So choose a third more than
    /// there are keys in use at a time.
    ///
    /// Starts a new, empty set, which clones made before do not share. Default: 1,000.
    #[must_use]
    pub fn capacity(self, caches: usize) -> Self {
        let capacity = caches.max(1);
        Self { capacity, kept: Kept::new(capacity), ..self }
    }

    /// How long a cache is kept that nobody gets a token from. It may be kept for a second and an
    /// eighth of that time longer. It is kept longer still while no key is asked for at all, or while a fetch is
    /// under way. A renewal that nobody asked for does not count as a use. [`Duration::MAX`] keeps caches until
    /// there are too many.
    ///
    /// Starts a new, empty set, which clones made before do not share. Default: 1 hour.
    #[must_use]
    pub fn idle(self, time: Duration) -> Self {
        Self { idle: time, kept: Kept::new(self.capacity), ..self }
    }

    /// The cache for this key, made if there is none. No token is fetched.
    ///
    /// # Errors
    ///
    /// That of the function that makes caches, see [`new`](Self::new).
    pub fn get<Q>(&self, key: &Q) -> Result<TokenCache, TokenError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        match self.kept.caches.get(key) {
            Some(cache) => {
                // Where no key is ever new, the idle ones have to be found as well.
                if fastrand::u8(..) == 0 {
                    if let Ok(rest) = self.kept.rest.try_lock() {
                        let now = Instant::now();
                        cache.touch(now);
                        self.sweep(rest, now);
                    }
                }
                Ok(cache)
            }
            None => self.make(key.to_owned()),
        }
    }

    /// The cache for this key, if there is one. That does not count as a use: it is for those who show
    /// what there is.
    pub fn peek<Q>(&self, key: &Q) -> Option<TokenCache>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.kept.caches.peek(key)
    }

    /// Gets the tokens for these keys, 16 at a time, so that the first requests do not have to wait. It
    /// returns the keys that there is no token for, with the reason; an empty list means that all are there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it. Fetches under way go on.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and as [`TokenCache::token`] does, if the runtime has no timers.
    #[must_use = "these keys have no token"]
    pub async fn warm<I>(&self, keys: I) -> Vec<(K, TokenError)>
    where
        I: IntoIterator<Item = K>,
    {
        let mut keys = keys.into_iter();
        let mut waiting = JoinSet::new();
        let mut failed = Vec::new();
        loop {
            while waiting.len() < WARMED_AT_ONCE {
                let Some(key) = keys.next() else { break };
                match self.get(&key) {
                    Ok(cache) => {
                        waiting.spawn(async move { (key, cache.token().await) });
                    }
                    Err(error) => failed.push((key, error)),
                }
            }
            match waiting.join_next().await {
                Some(Ok((key, token))) => failed.extend(token.err().map(|error| (key, error))),
                Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                Some(Err(_)) => {}
                None => return failed,
            }
        }
    }

    fn make(&self, key: K) -> Result<TokenCache, TokenError> {
        let now = Instant::now();
        if let Some(error) = self.kept.rest().failure(&key, now) {
            return Err(error);
        }
        if let Some(awaited) = self.kept.take_back(&key, now) {
            return Ok(awaited);
        }
        let making = Making::start(&self.kept, &key)?;
        let made = (self.make)(&key);
        drop(making);
        // Dropped after the lock is given back, as fetchers and errors are the user's.
        let (mut evicted, mut forgotten) = (Vec::new(), Vec::new());
        let mut rest = self.kept.rest();
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                rest.remember_failure(key, &error, now, &mut forgotten);
                drop(rest);
                return Err(error);
            }
        };
        if let Some(earlier) = self.kept.caches.get(&key) {
            drop(rest);
            return Ok(earlier);
        }
        let mut unused = None;
        let cache = match rest.remembered.remove(&key) {
            // Another thread has made one meanwhile, which is gone already.
            Some((_, Remembered::Awaited(earlier))) => {
                unused = Some(made);
                earlier
            }
            Some((_, Remembered::Cache(memory))) => {
                made.recall(memory);
                made
            }
            other => {
                forgotten.extend(other);
                made
            }
        };
        cache.touch(now);
        self.kept.caches.insert_with_lifecycle(key, cache.clone(), &mut evicted);
        rest.remember(&evicted, Some(&cache), now, &mut forgotten);
        drop(rest);
        drop((evicted, forgotten, unused));
        self.sweep(self.kept.rest(), now);
        Ok(cache)
    }

    /// Takes away what has been idle for too long, if that was not looked for a while ago.
    fn sweep(&self, mut rest: MutexGuard<'_, Rest<K>>, now: Instant) {
        let (idle, mut forgotten) = (RefCell::new(Vec::new()), Vec::new());
        if now.saturating_duration_since(rest.swept) < self.idle / 8 {
            return;
        }
        rest.swept = now;
        let keep = |key: &K, cache: &TokenCache| {
            let keep = cache.idle_for(now) <= self.idle;
            if !keep {
                idle.borrow_mut().push((key.clone(), cache.clone()));
            }
            keep
        };
        self.kept.caches.retain(keep);
        rest.remembered.retain(|key, remembered| match remembered {
            Remembered::Awaited(cache) => keep(key, cache),
            _ => true,
        });
        rest.remember(&idle.borrow(), None, now, &mut forgotten);
        drop(rest);
        drop((idle, forgotten));
    }
}

impl<K: Clone + Eq + Hash> Kept<K> {
    fn new(capacity: usize) -> Arc<Self> {
        let remembered = capacity.saturating_mul(REMEMBERED);
        let rest = Rest {
            remembered: unsync::Cache::with(
                remembered,
                remembered as u64,
                UnitWeighter,
                DefaultHashBuilder::default(),
                CollectEvicted,
            ),
            making: Vec::new(),
            swept: Instant::now(),
        };
        let caches = Caches::with(
            capacity,
            capacity as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            CollectEvicted,
        );
        Arc::new(Self { caches, rest: Mutex::new(rest) })
    }

    /// The cache that this key had when it awaited a token.
    fn take_back(&self, key: &K, now: Instant) -> Option<TokenCache> {
        let (mut evicted, mut forgotten) = (Vec::new(), Vec::new());
        let mut rest = self.rest();
        if !matches!(rest.remembered.get(key), Some(Remembered::Awaited(_))) {
            return None;
        }
        let (key, remembered) = rest.remembered.remove(key)?;
        let Remembered::Awaited(cache) = remembered else { return None };
        cache.touch(now);
        self.caches.insert_with_lifecycle(key, cache.clone(), &mut evicted);
        rest.remember(&evicted, Some(&cache), now, &mut forgotten);
        drop(rest);
        Some(cache)
    }
}

impl<K> Kept<K> {
    fn rest(&self) -> MutexGuard<'_, Rest<K>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Rest<K> {
    /// Why there is no cache for this key, as was found out a moment ago.
    fn failure(&self, key: &K, now: Instant) -> Option<TokenError> {
        match self.remembered.get(key)? {
            Remembered::Failure { error, until, .. } if now < *until => {
                Some(error.clone().retry_in(*until - now))
            }
            _ => None,
        }
    }

    fn remember_failure(
        &mut self,
        key: K,
        error: &TokenError,
        now: Instant,
        forgotten: &mut Vec<(K, Remembered)>,
    ) {
        let in_a_row = match self.remembered.get(&key) {
            Some(Remembered::Failure { in_a_row, .. }) => in_a_row.saturating_add(1),
            _ => 1,
        };
        let until = now + remember(error, in_a_row, None);
        let failure = Remembered::Failure { error: error.clone(), in_a_row, until };
        self.remembered.insert_with_lifecycle(key, failure, forgotten);
    }

    /// One that was just `inserted` may be among those that have gone, and is about to be used.
    fn remember(
        &mut self,
        gone: &[(K, TokenCache)],
        inserted: Option<&TokenCache>,
        now: Instant,
        forgotten: &mut Vec<(K, Remembered)>,
    ) {
        for (key, cache) in gone {
            let remembered = match cache.memory(now) {
                _ if cache.is_fetching() || inserted.is_some_and(|it| it.is(cache)) => {
                    Remembered::Awaited(cache.clone())
                }
                Some(memory) => Remembered::Cache(memory),
                None => continue,
            };
            self.remembered.insert_with_lifecycle(key.clone(), remembered, forgotten);
        }
    }
}

/// While it is there, `make` runs for a key on this thread.
struct Making<'a, K> {
    kept: &'a Kept<K>,
}

impl<'a, K: Clone + Eq + Hash> Making<'a, K> {
    /// Fails if it does so already: it would call itself until the stack is full.
    fn start(kept: &'a Kept<K>, key: &K) -> Result<Self, TokenError> {
        let this = (thread::current().id(), key.clone());
        let mut rest = kept.rest();
        if rest.making.contains(&this) {
            drop(rest);
            let error = "the function that makes a cache asked for the key that it makes it for";
            return Err(TokenError::selecting(error.into()));
        }
        rest.making.push(this);
        Ok(Self { kept })
    }
}

impl<K> Drop for Making<'_, K> {
    fn drop(&mut self) {
        let here = thread::current().id();
        let mut rest = self.kept.rest();
        let last = rest.making.iter().rposition(|(thread, _)| *thread == here);
        let made = last.map(|last| rest.making.remove(last));
        drop(rest);
        drop(made);
    }
}

/// Hands those that are evicted to the caller, so that nothing of the user's is dropped under a lock.
#[derive(Clone, Copy)]
struct CollectEvicted;

impl<K, V> Lifecycle<K, V> for CollectEvicted {
    type RequestState = Vec<(K, V)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, value: V) {
        evicted.push((key, value));
    }
}

impl<K> Clone for TokenCaches<K> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), kept: self.kept.clone(), ..*self }
    }
}

impl<K> fmt::Debug for TokenCaches<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCaches")
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
