use std::{hash::Hash, sync::Arc, time::Duration};

use super::{TokenCaches, slots::Slots};
use crate::{
    cache::TokenCache,
    error::{BoxError, TokenError},
};

/// Makes [`TokenCaches`] that keep more or fewer caches than 1,000, or for another time than an hour.
///
/// ```
/// use std::time::Duration;
///
/// use tower_bearer::{Token, TokenCaches, TokenError, fetch_fn};
///
/// let tokens = TokenCaches::builder()
///     .capacity(10_000)
///     .idle(Duration::from_secs(10 * 60))
///     .build(|tenant: &String| {
///         let token = format!("token-of-{tenant}");
///         Ok::<_, TokenError>(fetch_fn(move |_| std::future::ready(Token::bearer(&token))))
///     });
/// # let _ = tokens;
/// ```
#[derive(Clone, Debug)]
pub struct TokenCachesBuilder {
    capacity: usize,
    idle: Duration,
}

impl TokenCachesBuilder {
    pub(super) fn new() -> Self {
        Self { capacity: 1_000, idle: Duration::from_secs(60 * 60) }
    }

    /// How many caches are kept, and how many more of those with a fetch, a failure or a cooldown under way.
    /// At least one. Default: 1,000.
    ///
    /// The room is divided into parts by a hash of the key, and a part may be full before the others. So choose
    /// a third more than there are keys in use at a time.
    #[must_use]
    pub fn capacity(self, caches: usize) -> Self {
        Self { capacity: caches.max(1), ..self }
    }

    /// How long a cache is kept whose key nobody asks for. Default: 1 hour.
    ///
    /// It may be kept for an eighth of that time longer. It is kept longer still while no key is asked for at
    /// all, or while a fetch, a failure or a cooldown is under way. [`Duration::MAX`] keeps caches until there
    /// are too many.
    #[must_use]
    pub fn idle(self, time: Duration) -> Self {
        Self { idle: time, ..self }
    }

    /// `make` makes the cache for a key, or the fetcher to make it from, as for [`TokenCaches::new`].
    pub fn build<K, F, T, E>(self, make: F) -> TokenCaches<K>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        F: Fn(&K) -> Result<T, E> + Send + Sync + 'static,
        T: Into<TokenCache>,
        E: Into<BoxError>,
    {
        let make = move |key: &K| match make(key) {
            Ok(made) => Ok(made.into()),
            Err(error) => Err(TokenError::selecting(error.into())),
        };
        let slots = Slots::new(self.capacity, self.idle);
        TokenCaches { make: Arc::new(make), slots: Arc::new(slots) }
    }
}
