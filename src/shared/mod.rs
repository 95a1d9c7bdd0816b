//! One token for many processes, through a store that they share.

mod breaker;
mod entry;
mod fetch;
#[cfg(unix)]
mod file;
mod guarded;
mod key;
mod need;
mod protocol;
#[cfg(feature = "redis")]
mod redis;
mod seal;
mod store;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

#[cfg(unix)]
pub use self::file::FileStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::store::{StoreEntry, TokenStore};
use self::{
    breaker::Breaker,
    fetch::{Fetch, Place},
    seal::Seal,
};
use crate::{
    error::TokenError,
    fetcher::{FetchContext, TokenFetcher},
    secret::Secret,
    token::Token,
};

const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// Fetches one token for many processes, which share it through a [`TokenStore`].
///
/// It is a fetcher around a fetcher: give it to a [`TokenCache`](crate::TokenCache) in place of the one
/// inside. A fetch looks into the store first. If no good token lies there, one of the processes asks the
/// issuer, and the others wait for what it stores. So a cold start, a renewal or a revocation costs the
/// issuer one token request, however many processes there are.
///
/// The store is no need. If it is away, slow or full of rubbish, each process asks the issuer as it would
/// alone, and leaves the store alone for 5 to 7.5 seconds. A failure of the store fails no request. The
/// [guide](crate::guide::fleet) has the whole order of things.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # fn main() {
/// use tower_bearer::{Secret, Shared, Token, TokenCache, TokenError, fetch_fn, testing::MemoryStore};
///
/// let fetcher = fetch_fn(async |_| Token::bearer("mF_9.B5f-4.1JqM"));
/// let shared = Shared::new(fetcher, MemoryStore::new())
///     .name("https://issuer.example orders-service orders:read")
///     .seal([Secret::file("/run/secrets/token-seal")]);
/// let tokens = TokenCache::new(shared);
/// # }
/// # #[cfg(not(feature = "testing"))]
/// # fn main() {}
/// ```
///
/// # Which processes share a token
///
/// Those whose fetchers have the same [identity](TokenFetcher::identity) and the same [`name`](Self::name), and
/// use the same store. [`ClientCredentials`](crate::ClientCredentials) has an identity: the token endpoint or
/// the issuer, the client's id and claims, the grant, the scope, the parameters and the headers. The key in the store is a hash of it.
///
/// A token that is [bound to a key](crate::guide::bound_tokens) is not stored: the others do not have that key.
///
/// # Errors
///
/// Of the fetcher inside, as they are. Failures are not shared. Beside these a fetch returns
/// [configuration errors](TokenError::is_config) for what would share a token wrongly: a fetcher without an
/// identity and a name, a store that others can read without a key to seal with, a key that is none, and a
/// [`store_timeout`](Self::store_timeout) of zero.
///
/// # Cancel safety
///
/// A fetch that is dropped leaves at most its lock behind, which runs out after 3 seconds.
#[must_use = "it does nothing until a `TokenCache` has it"]
pub struct Shared<F, S> {
    fetcher: F,
    store: S,
    name: Option<String>,
    sealing: Sealing,
    default_lifetime: Duration,
    store_timeout: Duration,
    breaker: Mutex<Breaker>,
    /// The last token of the fetcher was bound to a key, so that it is not shared and nobody waits for it.
    are_bound: AtomicBool,
}

/// How tokens lie in the store.
enum Sealing {
    /// As the store allows.
    Unsaid,
    Unsealed,
    Sealed(Vec<Secret>),
}

impl<F, S> Shared<F, S> {
    /// Shares what `fetcher` fetches through `store`.
    pub fn new(fetcher: F, store: S) -> Self {
        Self {
            fetcher,
            store,
            name: None,
            sealing: Sealing::Unsaid,
            default_lifetime: DEFAULT_LIFETIME,
            store_timeout: STORE_TIMEOUT,
            breaker: Mutex::default(),
            are_bound: AtomicBool::default(),
        }
    }

    /// Says whose tokens these are. For a fetcher that has no [identity](TokenFetcher::identity), this is the
    /// identity: no other client that uses the store may have the same. For one that has, it is mixed in, so
    /// that two groups of processes do not share a token though they could.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Seals tokens in the store with AES-256-GCM. The first key seals, and each of them opens, so keys
    /// rotate without a gap: add the new one as the second everywhere, then make it the first, then leave out the
    /// old one.
    ///
    /// A key is 32 random bytes, as they are or in base64. `openssl rand -base64 32` makes one. Keys from
    /// [files](Secret::file) and [closures](Secret::from_fn) are read for each fetch, so they rotate
    /// without a restart.
    ///
    /// # Errors
    ///
    /// No key, a key of another length, and a file that cannot be read: each fetch returns a
    /// [configuration error](TokenError::is_config).
    pub fn seal(mut self, keys: impl IntoIterator<Item = impl Into<Secret>>) -> Self {
        self.sealing = Sealing::Sealed(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves tokens in the store as they are. Everybody who can read the store can then use them. Without this
    /// and without [`seal`](Self::seal), only a store that is [private](TokenStore::is_private) is used.
    pub fn unsealed(mut self) -> Self {
        self.sealing = Sealing::Unsealed;
        self
    }

    /// How long a token of unknown lifetime is kept in the store. The default is 5 min. The cache
    /// has a setting of [that name](crate::TokenCacheBuilder::default_lifetime) too, for the process that got
    /// the token from the issuer.
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// How long an operation of the store may take before it counts as failed. The default is 250 ms. It is at
    /// most 750 ms, and an eighth of the cache's [fetch timeout](crate::TokenCacheBuilder::fetch_timeout),
    /// whatever is set here.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: TokenFetcher, S: TokenStore> Shared<F, S> {
    fn check(&self) -> Result<(), TokenError> {
        match self.store_timeout.is_zero() {
            true => Err(TokenError::config(
                "no operation of a store ends within no time, pass to `Shared::store_timeout` what it \
                 may take, such as 250 ms",
            )),
            false => Ok(()),
        }
    }

    async fn read_seal(&self) -> Result<Option<Seal>, TokenError> {
        match &self.sealing {
            Sealing::Sealed(keys) => Seal::read(keys).await.map(Some),
            Sealing::Unsaid if !self.store.is_private() => Err(TokenError::config(
                "others may read what is in the store, pass a key to `Shared::seal`, or call \
                 `Shared::unsealed` if they may use the token",
            )),
            Sealing::Unsaid | Sealing::Unsealed => Ok(None),
        }
    }
}

impl<F: TokenFetcher, S: TokenStore> TokenFetcher for Shared<F, S> {
    type Error = TokenError;

    async fn fetch(&self, context: FetchContext) -> Result<Token, TokenError> {
        self.check()?;
        let identity = self.fetcher.identity();
        let key = key::of(identity.as_deref(), self.name.as_deref(), context.claims())?;
        let fetch = Fetch::start(self, context);
        let seal = self.read_seal().await?;
        fetch.run(Place { key: &key, seal: seal.as_ref() }).await
    }

    /// Refuses, as the other processes use the token too.
    async fn revoke(&self, _: Token) -> Result<(), TokenError> {
        Err(TokenError::config(
            "a shared token is not revoked, as the other processes use it too: let it expire",
        ))
    }

    /// The identity of the fetcher inside.
    fn identity(&self) -> Option<String> {
        self.fetcher.identity()
    }
}

impl<F, S> fmt::Debug for Shared<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("sealing", &self.sealing)
            .field("default_lifetime", &self.default_lifetime)
            .field("store_timeout", &self.store_timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => f.write_str("as the store allows"),
            Self::Unsealed => f.write_str("unsealed"),
            Self::Sealed(keys) => f.debug_tuple("sealed").field(keys).finish(),
        }
    }
}
