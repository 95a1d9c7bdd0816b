use std::{
    collections::HashMap,
    convert::Infallible,
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
/// can read it, so it is [private](TokenStore::is_private) unless it is told otherwise. It never fails.
///
/// ```
/// use tower_bearer::{Shared, Token, TokenCache, TokenError, fetch_fn, testing::MemoryStore};
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
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    keys: Arc<Mutex<HashMap<String, Key>>>,
    is_public: bool,
}

#[derive(Default)]
struct Key {
    entry: Option<(Bytes, Instant)>,
    lock: Option<(String, Instant)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that others can read it, so that [`Shared`](crate::Shared) wants a key to seal with.
    pub fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    type Error = Infallible;

    async fn load(&self, key: &str) -> Result<Option<StoreEntry>, Infallible> {
        let entry = self.keys().get(key).and_then(|stored| stored.entry.clone());
        Ok(entry.and_then(|(value, until)| {
            let left = until.checked_duration_since(Instant::now())?;
            (!left.is_zero()).then(|| StoreEntry::new(value, left))
        }))
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> Result<bool, Infallible> {
        let mut keys = self.keys();
        let stored = keys.entry(key.to_owned()).or_default();
        let is_free = stored.holder().is_none_or(|holder| holder == owner);
        if is_free {
            stored.lock = Some((owner.to_owned(), later(lease)));
        }
        Ok(is_free)
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> Result<bool, Infallible> {
        let mut keys = self.keys();
        let Some(stored) = keys.get_mut(key).filter(|stored| stored.holder() == Some(owner)) else {
            return Ok(false);
        };
        *stored = Key { entry: Some((value, later(expires_in))), lock: None };
        Ok(true)
    }

    async fn unlock(&self, key: &str, owner: &str) -> Result<(), Infallible> {
        let mut keys = self.keys();
        if let Some(stored) = keys.get_mut(key).filter(|stored| stored.holder() == Some(owner)) {
            stored.lock = None;
        }
        Ok(())
    }

    fn is_private(&self) -> bool {
        !self.is_public
    }
}

impl Key {
    fn holder(&self) -> Option<&str> {
        let (owner, until) = self.lock.as_ref()?;
        (Instant::now() < *until).then_some(owner)
    }
}

/// As far in the future as clocks go, if need be.
fn later(by: Duration) -> Instant {
    Instant::now() + by.min(LONGEST)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        f.debug_struct("MemoryStore")
            .field("keys", &keys.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
