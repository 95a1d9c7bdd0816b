//! The tokens of one client at one issuer.

mod attempt;
mod builder;
mod changes;
mod cooldown;
mod entry;
mod fetch;
mod flight;
mod keep_fresh;
mod replace_error;
mod schedule;
mod shared;
mod state;
mod status;

use std::{fmt, sync::Arc};

#[cfg(feature = "token-caches")]
use tokio::time::Instant;

pub use self::{
    builder::TokenCacheBuilder,
    changes::{TokenChange, TokenChanges},
    status::TokenStatus,
};
#[cfg(feature = "token-caches")]
pub(crate) use self::{cooldown::CommonBucket, schedule::remember};
pub(crate) use self::{cooldown::Source, replace_error::ReplaceError};
use self::{
    entry::Settled,
    shared::{Lookup, Shared},
};
use crate::{
    error::TokenError,
    fetcher::{Claims, TokenFetcher},
    observe::{self, CacheEvent},
    token::{Token, TokenId},
};

/// How often a caller starts over when a fetch is lost with its runtime.
const STARTS: usize = 3;

/// Keeps a token, renews it before it expires, and has at most one fetch under way.
///
/// Clones share the token. One cache stands for one client at one issuer with one scope. Give
/// the clones to every [`BearerAuthLayer`](crate::BearerAuthLayer) that wants that token. The cache
/// works without tower too: for a websocket handshake, a Kafka login, a gRPC interceptor.
///
/// ```
/// use tower_bearer::{Token, TokenCache, TokenError, fetch_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TokenError> {
/// let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("mF_9.B5f-4.1JqM")));
///
/// let token = tokens.token().await?;
/// assert_eq!(token.header_value(), "Bearer mF_9.B5f-4.1JqM");
/// # Ok(()) }
/// ```
///
/// Nothing runs while nobody asks: the cache has no task of its own but the fetch under way,
/// which ends with the last clone. A service that is idle for longer than a token lives can have it
/// [kept fresh](TokenCacheBuilder::keep_fresh).
///
/// The guide says [when a token is fetched](crate::guide::caching), and lists the
/// [spans, events and metrics](crate::guide::observability).
#[derive(Clone)]
pub struct TokenCache {
    shared: Arc<Shared>,
}

impl TokenCache {
    /// A cache over this fetcher with the default settings of [`TokenCacheBuilder`].
    pub fn new(fetcher: impl TokenFetcher) -> Self {
        Self::builder().build(fetcher)
    }

    /// Starts from the defaults.
    pub fn builder() -> TokenCacheBuilder {
        TokenCacheBuilder::new()
    }

    /// The token to use now.
    ///
    /// Returns at once while the token is good. Waits for the one fetch, started here if it is not
    /// under way yet, when there is no token, when it is about to expire, or when it was
    /// [rejected](Self::reject). If that fetch fails, a token that has not expired is returned
    /// all the same.
    ///
    /// To have a token before the first request, call this when the program starts. There is no other
    /// way to warm a cache up.
    ///
    /// # Errors
    ///
    /// The failure of the fetch, shared by all who waited for it and by those who ask in the
    /// second or so after; [`retry_after`](TokenError::retry_after) says how long.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch goes on, and the next caller has its token.
    ///
    /// # Panics
    ///
    /// As tokio's timers do, if the runtime has none ([`enable_time`]).
    ///
    /// [`enable_time`]: tokio::runtime::Builder::enable_time
    pub async fn token(&self) -> Result<Token, TokenError> {
        if let Some(token) = self.shared.settled.load().as_deref().and_then(Settled::token) {
            return Ok(token.clone());
        }
        self.clone().acquire().await
    }

    /// The token in the cache, without waiting and without fetching. It has not expired, though
    /// it may be about to, and an API may have refused it.
    pub fn peek(&self) -> Option<Token> {
        self.shared.peek()
    }

    /// Whether there is a token, how long it is still good, and whether the last fetch failed, for a
    /// health endpoint.
    ///
    /// Never fetches and never waits. To have a token before the first request, call
    /// [`token`](Self::token) when the program starts.
    pub fn status(&self) -> TokenStatus {
        self.shared.status()
    }

    /// What happens to the token from now on: it is fetched, renewed or rejected, or a fetch fails.
    ///
    /// For those who show it. A slow reader does not delay the cache.
    pub fn changes(&self) -> TokenChanges {
        self.shared.changes()
    }

    /// Says that an API refused this token, so that the next caller waits for another.
    ///
    /// Does nothing if the cache holds another token by now, so a late refusal costs nobody a good
    /// one. It also does nothing for a while after a token that was fetched for such a refusal was refused in
    /// turn: 1 second, doubling to half of the token's lifetime, 5 minutes at most. The refused token is kept
    /// until another has come, and serves on if none can be had.
    ///
    /// Refusals are counted apart by their source: the authority and the first segment of the path,
    /// through whichever layer the request went. For gRPC that segment is the service. Where a request
    /// names no authority, the origins given to
    /// [`only_for`](crate::BearerAuthLayer::only_for) stand for it, or else the layer. Refusals said here
    /// count as those of one source.
    ///
    /// All sources of one cache together force ten fetches at once at most, and 20 in any minute, those that
    /// fail among them. The guide has [both rules](crate::guide::caching#an-api-that-refuses-every-token).
    ///
    /// [`BearerAuth`](crate::BearerAuth) calls it by itself.
    pub fn reject(&self, token: &Token) {
        self.refused(token.id(), Source::UNKNOWN, None);
    }

    /// Takes the token out of the cache, and has the issuer revoke it (RFC 7009), for a service that shuts
    /// down. Returns at once if there is no token that has not expired.
    ///
    /// [`ClientCredentials`](crate::ClientCredentials) asks the revocation endpoint, which it is given or
    /// finds in the metadata of the issuer. Nothing is revoked unless this is called.
    ///
    /// Whoever asks for a token later gets another. Where the cache is [kept
    /// fresh](TokenCacheBuilder::keep_fresh), it is so again from then on. A fetch that is under way goes on,
    /// and its token is not revoked. Do not call this for a token that others use too.
    ///
    /// # Errors
    ///
    /// What the issuer has against it, [`is_config`](TokenError::is_config) if there is no revocation endpoint
    /// or the fetcher cannot revoke, and [`is_timeout`](TokenError::is_timeout) after the cache's
    /// [fetch timeout](TokenCacheBuilder::fetch_timeout). There is no second attempt. The token is not in the
    /// cache any more, unless there is no runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the issuer may not have heard of it.
    ///
    /// # Panics
    ///
    /// As [`token`](Self::token) does, if the runtime has no timers.
    ///
    /// ```no_run
    /// # async fn f(tokens: tower_bearer::TokenCache) {
    /// if let Err(error) = tokens.revoke().await {
    ///     eprintln!("the token stays good until it expires: {error}");
    /// }
    /// # }
    /// ```
    pub async fn revoke(&self) -> Result<(), TokenError> {
        self.shared.revoke().await
    }

    /// Uses the token, if nobody has to wait for it. Nothing is cloned while it is good.
    #[inline]
    pub(crate) fn at_once<T>(&self, with: impl FnOnce(&Token) -> T) -> Option<T> {
        self.shared.at_once(with)
    }

    /// As `peek`, but not one that an API has refused.
    pub(crate) fn peek_unsuspected(&self) -> Option<Token> {
        self.shared.peek_unsuspected()
    }

    /// Waits for the token.
    pub(crate) async fn acquire(self) -> Result<Token, TokenError> {
        let token = self.wait(Shared::look_up).await;
        token.or_else(|error| self.shared.fallback().ok_or(error))
    }

    /// Waits for the token that takes the place of a rejected one.
    pub(crate) async fn replace(
        self,
        rejected: TokenId,
        by: Source,
        claims: Option<Claims>,
    ) -> Result<Token, ReplaceError> {
        self.refused(rejected, by, claims);
        let token = match self.wait(|cache| cache.replacement(rejected, by)).await {
            Ok(token) if token.id() == rejected => Err(ReplaceError::SameToken),
            token => token,
        };
        let event = match &token {
            Ok(_) => CacheEvent::Replaced,
            Err(why) => CacheEvent::NotReplaced { reason: why.name(), why },
        };
        observe::event(&self.shared.name, event);
        token
    }

    /// A request with this token was refused. The next caller gets another, with these claims.
    pub(crate) fn refused(&self, token: TokenId, by: Source, claims: Option<Claims>) {
        self.shared.reject(token, by, claims);
    }

    /// The same, and the request is not sent once more.
    pub(crate) fn refused_once(&self, token: TokenId, by: Source) {
        self.refused(token, by, None);
        let why = &"its body cannot be sent again";
        observe::event(&self.shared.name, CacheEvent::NotReplaced { reason: "body", why });
    }

    /// A request was sent once more with this token, and was accepted.
    pub(crate) fn accepted(&self, token: TokenId, by: Source) {
        self.shared.accepted(token, by);
    }

    /// A request was sent once more with this token, and was refused again.
    pub(crate) fn refused_again(&self, token: TokenId, by: Source) {
        self.shared.refused_again(token, by);
        observe::event(&self.shared.name, CacheEvent::RejectedAgain);
    }

    /// As long as the caller has what it returns, nobody else can change the state.
    #[cfg(test)]
    pub(crate) fn lock(&self) -> impl Sized + '_ {
        self.shared.lock()
    }

    /// Looks, and waits for the fetch if there is nothing better. If that is lost, it looks again.
    async fn wait<E: From<TokenError>>(
        &self,
        look: impl Fn(&Arc<Shared>) -> Result<Lookup, E>,
    ) -> Result<Token, E> {
        for _ in 0..STARTS {
            match look(&self.shared)? {
                Lookup::Use(token) => return Ok(token),
                Lookup::Wait(fetch) => {
                    if let Some(outcome) = fetch.await {
                        return Ok(outcome?);
                    }
                }
            }
        }
        Err(TokenError::lost().into())
    }
}

#[cfg(feature = "token-caches")]
impl TokenCache {
    /// Until when a fetch, a failure or a cooldown keeps the issuer from being asked too often.
    pub(crate) fn in_trouble_until(&self, now: Instant) -> Option<Instant> {
        self.shared.lock().in_trouble_until(now)
    }

    /// Until then the fetches that rejections force are drawn from this bucket too.
    pub(crate) fn draws_from(&self, bucket: &CommonBucket, until: Instant) {
        self.shared.lock().cooldowns.draw_from(bucket.clone(), until);
    }
}

impl<F: TokenFetcher> From<F> for TokenCache {
    fn from(fetcher: F) -> Self {
        Self::new(fetcher)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
