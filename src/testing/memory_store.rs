use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::shared::{StoreEntry, TokenStore};

/// What stands for all longer times. Instants can be counted that far on every platform.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A [`TokenStore`] in memory, for tests of what a fleet of processes does.
///
/// Clones are the same store, so a test gives one to each of several [`Shared`](crate::Shared), as if they were
/// in processes of their own. Its clock is tokio's, which tests can pause. Nothing outside of the process
/// can read it, so it is [private](TokenStore::is_private) unless it is told otherwise.
///
/// A test scripts what goes wrong, by a [`StoreFault`].
///
/// ```
/// use tower_bearer::{Shared, Token, TokenCache, TokenError, fetch_fn};
/// use tower_bearer::testing::{MemoryStore, StoreFault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TokenError> {
/// let store = MemoryStore::new();
/// let replica = || {
///     let fetcher = fetch_fn(async |_| Token::bearer(&format!("t{}", fastrand::u64(..))));
///     TokenCache::new(Shared::new(fetcher, store.clone()).name("orders"))
/// };
/// let (one, two) = (replica(), replica());
/// assert_eq!(one.token().await?.expose(), two.token().await?.expose());
///
/// // A replica that starts while the store is away gets a token all the same.
/// store.fault(StoreFault::Error);
/// replica().token().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: HashMap<String, Key>,
    fault: Option<StoreFault>,
    latency: Duration,
    operations: usize,
    is_public: bool,
}

#[derive(Default)]
struct Key {
    entry: Option<(Bytes, Instant)>,
    lock: Option<(String, Instant)>,
}

/// What goes wrong with each operation of a [`MemoryStore`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// It returns an error, and changes nothing.
    Error,
    /// It never returns, and changes nothing.
    Hang,
    /// It changes what it is to change, and never returns.
    HangAfter,
    /// It panics.
    Panic,
    /// What changes something returns an error. Loading works.
    ReadOnly,
    /// What stores something says that it has, and has not. The lock is let go.
    DropWrites,
    /// Nobody gets the lock.
    RefuseLocks,
    /// Everybody gets the lock, and whatever is stored is stored.
    GrantAllLocks,
    /// Loading returns these bytes, which are there for an hour.
    Answer(Bytes),
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that others can read it, so that [`Shared`](crate::Shared) wants a key to seal with.
    pub fn public(self) -> Self {
        self.lock_state().is_public = true;
        self
    }

    /// Each operation goes wrong in this way, until [`work_normally`](Self::work_normally).
    pub fn fault(&self, fault: StoreFault) {
        self.lock_state().fault = Some(fault);
    }

    /// How long each operation takes. None by default. It takes effect at its end.
    pub fn latency(&self, latency: Duration) {
        self.lock_state().latency = latency;
    }

    /// Ends the fault. Latency and content stay.
    pub fn work_normally(&self) {
        self.lock_state().fault = None;
    }

    /// Loses all entries and locks.
    pub fn evict(&self) {
        self.lock_state().keys.clear();
    }

    /// The entries that have not expired, by their key.
    pub fn entries(&self) -> Vec<(String, Bytes)> {
        let now = Instant::now();
        let state = self.lock_state();
        let entries = state.keys.iter().filter_map(|(key, stored)| {
            let (value, _) = stored.entry.as_ref().filter(|(_, until)| now < *until)?;
            Some((key.clone(), value.clone()))
        });
        entries.collect()
    }

    /// How many operations were begun so far.
    pub fn operations(&self) -> usize {
        self.lock_state().operations
    }

    async fn operate<T>(
        &self,
        kind: Kind,
        operation: impl FnOnce(&mut State, Instant) -> T,
    ) -> Result<T, Down> {
        let (fault, latency) = {
            let mut state = self.lock_state();
            state.operations += 1;
            (state.fault.clone(), state.latency)
        };
        // A sleep of zero would still wait for the next tick of the timer.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match fault {
            Some(StoreFault::Error) => return Err(Down),
            Some(StoreFault::Hang) => std::future::pending().await,
            // It is a panic all the same, but prints nothing.
            Some(StoreFault::Panic) => std::panic::resume_unwind(Box::new("a bug in the store")),
            Some(StoreFault::ReadOnly) if kind == Kind::Write => return Err(Down),
            _ => {}
        }
        let outcome = operation(&mut self.lock_state(), Instant::now());
        if fault == Some(StoreFault::HangAfter) {
            std::future::pending().await
        }
        Ok(outcome)
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

/// The error of a scripted fault.
#[derive(Debug)]
struct Down;

impl TokenStore for MemoryStore {
    type Error = crate::error::BoxError;

    async fn load(&self, key: &str) -> Result<Option<StoreEntry>, Self::Error> {
        let load = |state: &mut State, now: Instant| {
            if let Some(StoreFault::Answer(value)) = &state.fault {
                return Some(StoreEntry::new(value.clone(), Duration::from_secs(3600)));
            }
            let (value, until) = state.keys.get(key)?.entry.clone()?;
            let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
            Some(StoreEntry::new(value, left))
        };
        Ok(self.operate(Kind::Read, load).await?)
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> Result<bool, Self::Error> {
        let lock = |state: &mut State, now: Instant| {
            let is_free = match state.fault {
                Some(StoreFault::RefuseLocks) => false,
                Some(StoreFault::GrantAllLocks) => true,
                _ => state.holder(key, now).is_none_or(|holder| holder == owner),
            };
            if is_free {
                state.key(key).lock = Some((owner.to_owned(), later(now, lease)));
            }
            is_free
        };
        Ok(self.operate(Kind::Write, lock).await?)
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> Result<bool, Self::Error> {
        let store = |state: &mut State, now: Instant| {
            let is_ours = state.fault == Some(StoreFault::GrantAllLocks)
                || state.holder(key, now) == Some(owner);
            if is_ours {
                let drops = state.fault == Some(StoreFault::DropWrites);
                let stored = state.key(key);
                stored.lock = None;
                if !drops {
                    stored.entry = Some((value, later(now, expires_in)));
                }
            }
            is_ours
        };
        Ok(self.operate(Kind::Write, store).await?)
    }

    async fn unlock(&self, key: &str, owner: &str) -> Result<(), Self::Error> {
        let unlock = |state: &mut State, now: Instant| {
            if state.holder(key, now) == Some(owner) {
                state.key(key).lock = None;
            }
        };
        Ok(self.operate(Kind::Write, unlock).await?)
    }

    fn is_private(&self) -> bool {
        !self.lock_state().is_public
    }
}

/// As far in the future as clocks go, if need be.
fn later(now: Instant, by: Duration) -> Instant {
    now + by.min(LONGEST)
}

impl State {
    fn key(&mut self, key: &str) -> &mut Key {
        self.keys.entry(key.to_owned()).or_default()
    }

    fn holder(&self, key: &str, now: Instant) -> Option<&str> {
        let (owner, until) = self.keys.get(key)?.lock.as_ref()?;
        (now < *until).then_some(owner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock_state();
        f.debug_struct("MemoryStore")
            .field("keys", &state.keys.keys().collect::<Vec<_>>())
            .field("operations", &state.operations)
            .finish_non_exhaustive()
    }
}

/// Shows no bytes, which may be a token.
impl fmt::Debug for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "Error",
            Self::Hang => "Hang",
            Self::HangAfter => "HangAfter",
            Self::Panic => "Panic",
            Self::ReadOnly => "ReadOnly",
            Self::DropWrites => "DropWrites",
            Self::RefuseLocks => "RefuseLocks",
            Self::GrantAllLocks => "GrantAllLocks",
            Self::Answer(value) => return write!(f, "Answer({} bytes)", value.len()),
        })
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store is down, as its test wants it")
    }
}

impl std::error::Error for Down {}
