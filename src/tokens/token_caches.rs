//! A bounded set of caches, one for each key.

mod builder;
mod slots;

use std::{borrow::Borrow, fmt, hash::Hash, panic::resume_unwind, sync::Arc};

use tokio::task::JoinSet;

pub use self::builder::TokenCachesBuilder;
use self::slots::Slots;
use crate::{
    cache::TokenCache,
    error::{BoxError, TokenError},
};

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
/// let tokens = TokenCaches::builder().capacity(10_000).build(|tenant: &String| {
///     let token = match tenant.as_str() {
///         "acme" => "abc",
///         "initech" => "def",
///         _ => return Err(format!("there is no tenant {tenant}")),
///     };
///     Ok(fetch_fn(move |_| async move { Token::bearer(token) }))
/// });
///
/// let layer = BearerAuthLayer::select(move |head| match head.extensions.get::<Tenant>() {
///     Some(Tenant(tenant)) => tokens.get(tenant).map(Some),
///     None => Ok(None),
/// });
/// ```
///
/// # What is kept
///
/// As many caches as its [`capacity`](TokenCachesBuilder::capacity). When there are more, those go whose keys
/// nobody has asked for lately. A cache whose key nobody has asked for in the time of
/// [`idle`](TokenCachesBuilder::idle) goes too. A cache that goes still serves those who have it. The next
/// caller with its key gets a new one, without a token. So a key whose cache has gone needs another token
/// request.
///
/// A cache with a fetch, a failure or a [cooldown](TokenCache::reject) under way does not go, so failures and
/// rejections do not lead to more token requests because there are many keys. As many such caches as the
/// capacity are kept beside the others. When there are more of them, that goes whose trouble ends first, and
/// until it would have ended the keys that are new share one budget of fetches that rejections force: ten at
/// once, and one more every 6 seconds.
///
/// # In metrics, traces and `Debug`
///
/// No key is shown. All caches that are made from a fetcher have the name `default`. To give them
/// another, return a [`TokenCache`] of that [name](crate::TokenCacheBuilder::name).
pub struct TokenCaches<K> {
    make: Arc<Make<K>>,
    slots: Arc<Slots<K>>,
}

type Make<K> = dyn Fn(&K) -> Result<TokenCache, TokenError> + Send + Sync;

impl TokenCaches<()> {
    /// Starts from the defaults.
    pub fn builder() -> TokenCachesBuilder {
        TokenCachesBuilder::new()
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> TokenCaches<K> {
    /// `make` makes the cache for a key, or the fetcher to make it from. It must not block. The settings are
    /// the defaults of [`TokenCachesBuilder`].
    ///
    /// It is called for a key that has no cache: when it is first asked for, and again after its cache
    /// has gone. Two callers may run it at the same time for the same key; one of the two caches is used.
    /// It may ask for another key, and return its cache. If it asks for its own key it calls itself.
    ///
    /// # Errors
    ///
    /// An error of `make` reaches the callers with that key as a [`TokenError`] that
    /// [`is_selection`](TokenError::is_selection), with the error as its source. One that is a
    /// `TokenError` reaches them as it is. It is remembered as a failed fetch is: `make` is not called
    /// for that key again for 1 second, doubling to 5 if it goes on failing, or for the error's
    /// [`retry_after`](TokenError::retry_after). As many keys as the capacity are remembered so.
    ///
    /// # Panics
    ///
    /// If `make` panics, so does [`get`](Self::get). Nothing is remembered of that.
    pub fn new<F, T, E>(make: F) -> Self
    where
        F: Fn(&K) -> Result<T, E> + Send + Sync + 'static,
        T: Into<TokenCache>,
        E: Into<BoxError>,
    {
        TokenCaches::builder().build(make)
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
        match self.slots.get(key) {
            Some(found) => found,
            None => {
                let key = key.to_owned();
                let made = (self.make)(&key);
                self.slots.insert(key, made)
            }
        }
    }

    /// The cache for this key, if there is one. That does not count as a use: it is for those who show
    /// what there is.
    pub fn peek<Q>(&self, key: &Q) -> Option<TokenCache>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.slots.peek(key)
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
}

impl<K> Clone for TokenCaches<K> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), slots: self.slots.clone() }
    }
}

impl<K> fmt::Debug for TokenCaches<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slots.fmt(f)
    }
}
