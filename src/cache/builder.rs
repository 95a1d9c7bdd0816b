use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use super::{
    TokenCache,
    schedule::Policy,
    shared::{Shared, WallClock},
};
use crate::{fetcher::TokenFetcher, observe::Name};

/// Sets when a token is good enough, and for how long a fetch may run.
///
/// ```
/// use std::time::Duration;
/// use tower_bearer::{Token, TokenCache, TokenError, fetch_fn};
///
/// let tokens = TokenCache::builder()
///     .refresh_ahead(Duration::from_secs(60))
///     .fetch_timeout(Duration::from_secs(3))
///     .build(fetch_fn(async |_| Token::bearer("abc")));
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct TokenCacheBuilder {
    policy: Policy,
    keeps_fresh: bool,
    wall_clock: WallClock,
    name: Name,
}

// Many caches have the same.
static DEFAULT_CLOCK: LazyLock<WallClock> = LazyLock::new(|| Arc::new(SystemTime::now));
static DEFAULT_NAME: LazyLock<Name> = LazyLock::new(|| "default".into());

impl TokenCacheBuilder {
    pub(super) fn new() -> Self {
        Self {
            policy: Policy {
                refresh_ahead: Duration::from_secs(5 * 60),
                expiry_margin: Duration::from_secs(30),
                default_lifetime: Duration::from_secs(5 * 60),
                fetch_timeout: Duration::from_secs(10),
            },
            keeps_fresh: false,
            wall_clock: DEFAULT_CLOCK.clone(),
            name: DEFAULT_NAME.clone(),
        }
    }

    /// How long before its expiry a token is renewed, while it is still in use and nobody waits.
    ///
    /// Never more than a fifth of the token's lifetime, so that short tokens are reused too. The
    /// moment moves later by up to half of the window, drawn once for each token, so that
    /// services started together do not renew together. Default: 5 minutes.
    ///
    /// With the defaults and a token of 5 minutes or less, the latest such moment is that of the
    /// [expiry margin](Self::expiry_margin). A request can then find the token past both, and waits for the
    /// renewal. A shorter margin leaves time between the two.
    pub fn refresh_ahead(mut self, window: Duration) -> Self {
        self.policy.refresh_ahead = window;
        self
    }

    /// How long before its expiry a token is no longer used, unless no other can be had: time for
    /// a request to arrive, and for clocks that differ.
    ///
    /// Never more than a tenth of the token's lifetime. Default: 30 seconds.
    pub fn expiry_margin(mut self, margin: Duration) -> Self {
        self.policy.expiry_margin = margin;
        self
    }

    /// The lifetime of a token whose issuer states none (RFC 6749 section 5.1 leaves
    /// `expires_in` optional). [`Duration::MAX`] keeps it until an API refuses it.
    ///
    /// Default: 5 minutes.
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.default_lifetime = lifetime;
        self
    }

    /// How long one fetch may take, retries of the fetcher included, whatever the callers' own
    /// timeouts are. Default: 10 seconds.
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.policy.fetch_timeout = timeout;
        self
    }

    /// Renews the token also while nobody asks for it, so that a service which is idle at night has
    /// a good one in the morning. Default: off. A token that nobody uses is then not renewed.
    ///
    /// It starts with the first fetch, so call [`TokenCache::token`] when the program starts. From
    /// then on a task renews the token at the moment when it is due, with the same jitter as a
    /// renewal that a caller starts. A token that was [rejected](TokenCache::reject) is replaced at
    /// once, within the limit of fetches that rejections may force. After a failure, the first one
    /// included, the next attempt comes after a random part of 5 seconds, doubling to 30 seconds with
    /// each failure, and no sooner than after 1 second; `Retry-After` is honoured up to 5 minutes.
    /// While a token is still good, neither is longer than half of what remains of it, `Retry-After`
    /// of up to a minute excepted.
    ///
    /// The task waits at least 1 second after each token, however short it lives, and twice as long
    /// each time, up to 30 seconds, if tokens have expired when they come. A token that does not
    /// expire is not renewed.
    ///
    /// The task ends with the last clone of the cache, and not with a failure. If its tokio runtime is
    /// shut down, the next [`TokenCache::token`] on another runtime starts it again.
    pub fn keep_fresh(mut self) -> Self {
        self.keeps_fresh = true;
        self
    }

    /// Where the time of day comes from, for tests.
    ///
    /// A token has expired when either the monotonic clock or this one says so: the former stands
    /// still while a machine is suspended, the latter can be moved. It is read about once a
    /// second while tokens are in use. Default: [`SystemTime::now`].
    pub fn wall_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall_clock = Arc::new(now);
        self
    }

    /// What the cache is called in spans, events and metrics, where there are several. It is not
    /// a secret. Default: `default`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// A cache over this fetcher. Nothing is fetched until somebody needs a token.
    pub fn build(self, fetcher: impl TokenFetcher) -> TokenCache {
        let Self { policy, keeps_fresh, wall_clock, name } = self;
        let shared = Shared::new(Arc::new(fetcher), policy, keeps_fresh, wall_clock, name);
        TokenCache { shared: Arc::new(shared) }
    }
}

impl fmt::Debug for TokenCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("keeps_fresh", &self.keeps_fresh)
            .finish_non_exhaustive()
    }
}
