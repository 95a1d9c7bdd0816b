use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    error::{BoxError, TokenError},
    token::Token,
};

/// Gets a token from an issuer.
///
/// Most services use [`ClientCredentials`](crate::ClientCredentials). For tokens from elsewhere,
/// implement this trait, or pass an async closure to [`fetch_fn`].
///
/// The cache calls a fetcher for one token at a time, in a task of its own, under a timeout. A fetcher
/// does not have to keep tokens, to share failures or to handle cancellation. It may retry; the cache
/// waits between its own attempts in any case.
///
/// ```
/// use tower_bearer::{FetchContext, Token, TokenCache, TokenError, TokenFetcher};
///
/// struct FromFile(std::path::PathBuf);
///
/// impl TokenFetcher for FromFile {
///     type Error = tower_bearer::BoxError;
///
///     async fn fetch(&self, _: FetchContext) -> Result<Token, Self::Error> {
///         let token = std::fs::read_to_string(&self.0)?;
///         Ok(Token::bearer(token.trim_end())?)
///     }
/// }
///
/// let tokens = TokenCache::new(FromFile("/var/run/token".into()));
/// ```
///
/// A [`TokenCache`](crate::TokenCache) is not a fetcher. A second cache around it would go on using a
/// token that the first has given up:
///
/// ```compile_fail,E0277
/// # use tower_bearer::{Token, TokenCache, fetch_fn};
/// let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
/// let more = TokenCache::new(tokens);
/// ```
///
/// To share a cache, clone it:
///
/// ```
/// # use tower_bearer::{Token, TokenCache, fetch_fn};
/// let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
/// let more = tokens.clone();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fetch tokens",
    label = "this is not a `TokenFetcher`",
    note = "wrap an async closure in `tower_bearer::fetch_fn`, or implement `TokenFetcher`",
    note = "a `TokenCache` is not a fetcher: clone it to share it, it needs no second cache around it"
)]
pub trait TokenFetcher: Send + Sync + 'static {
    /// What a failed fetch returns. A [`TokenError`] reaches the caller as it is. An error of any other
    /// type counts as [transient](TokenError::unavailable).
    type Error: Into<BoxError>;

    /// Gets one token.
    fn fetch(
        &self,
        context: FetchContext,
    ) -> impl Future<Output = Result<Token, Self::Error>> + Send;

    /// Tells the issuer that nobody uses this token any more (RFC 7009). [`TokenCache::revoke`] calls it, and
    /// nothing else does.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) from a fetcher that does not implement it.
    ///
    /// [`TokenCache::revoke`]: crate::TokenCache::revoke
    fn revoke(&self, token: Token) -> impl Future<Output = Result<(), TokenError>> + Send {
        drop(token);
        async {
            Err(TokenError::config(
                "this fetcher cannot revoke tokens, implement `TokenFetcher::revoke` for it",
            ))
        }
    }

    /// Tells the tokens of this fetcher from those of all others: a text of the issuer, the client, the scope,
    /// and whatever else of the request makes another token of it. `Shared`, with the feature `shared`, derives
    /// from it under which key a token is stored. Processes share a token if this text is the same in all of
    /// them, so it has neither a secret nor anything that differs between them.
    ///
    /// `None`, the default, says that the fetcher cannot tell. Then
    /// `Shared::name` has to.
    fn identity(&self) -> Option<String> {
        None
    }
}

impl<T: TokenFetcher> TokenFetcher for Arc<T> {
    type Error = T::Error;

    fn fetch(
        &self,
        context: FetchContext,
    ) -> impl Future<Output = Result<Token, Self::Error>> + Send {
        T::fetch(self, context)
    }

    fn revoke(&self, token: Token) -> impl Future<Output = Result<(), TokenError>> + Send {
        T::revoke(self, token)
    }

    fn identity(&self) -> Option<String> {
        T::identity(self)
    }
}

/// What a fetch is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchContext {
    reason: FetchReason,
    rejected: Option<Token>,
    current: Option<(Token, Duration)>,
    claims: Option<Claims>,
    fetch_timeout: Duration,
    #[cfg_attr(
        not(feature = "shared"),
        expect(dead_code, reason = "only metrics of a store name it")
    )]
    cache: Arc<str>,
}

impl FetchContext {
    /// Why a token is needed.
    pub fn reason(&self) -> FetchReason {
        self.reason
    }

    /// The token that an API refused, if that is the reason for the fetch. A fetcher that has a cache of its
    /// own should not return this token again.
    pub fn rejected(&self) -> Option<&Token> {
        self.rejected.as_ref()
    }

    /// The token that the cache has now, unless that has expired. Callers use it while this fetch is under way,
    /// unless it is the [rejected](Self::rejected) one.
    pub fn current(&self) -> Option<&Token> {
        self.current.as_ref().map(|(token, _)| token)
    }

    /// How much longer the [current](Self::current) token is good, counted from the start of this
    /// fetch. [`Duration::MAX`] if it does not expire.
    pub fn current_expires_in(&self) -> Option<Duration> {
        self.current.as_ref().map(|(_, expires_in)| *expires_in)
    }

    /// How long the cache waits for this fetch, counted from its start, and then drops it
    /// ([`TokenCacheBuilder::fetch_timeout`](crate::TokenCacheBuilder::fetch_timeout)).
    pub fn fetch_timeout(&self) -> Duration {
        self.fetch_timeout
    }

    /// The claims that an API wants to see in the token, as JSON, where the layer answers challenges
    /// that name some (`BearerAuthLayer::insufficient_claims`). Send them as the parameter `claims`
    /// of the token request (OpenID Connect Core section 5.5).
    ///
    /// [`ClientCredentials`](crate::ClientCredentials) does this.
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    pub(crate) fn new(reason: FetchReason, fetch_timeout: Duration, cache: Arc<str>) -> Self {
        Self { reason, rejected: None, current: None, claims: None, fetch_timeout, cache }
    }

    pub(crate) fn current_is(mut self, current: Option<(Token, Duration)>) -> Self {
        self.current = current;
        self
    }

    pub(crate) fn rejects(mut self, rejected: Option<Token>, claims: Option<Claims>) -> Self {
        self.rejected = rejected;
        self.claims = claims;
        self
    }
}

#[cfg(feature = "shared")]
impl FetchContext {
    /// The same fetch, so much later.
    pub(crate) fn after(mut self, elapsed: Duration) -> Self {
        self.fetch_timeout = self.fetch_timeout.saturating_sub(elapsed);
        self.current = self.current.and_then(|(token, expires_in)| match expires_in {
            Duration::MAX => Some((token, expires_in)),
            _ => Some((token, expires_in.checked_sub(elapsed)?)),
        });
        self
    }

    /// The name of the cache that waits, for metrics.
    pub(crate) fn cache(&self) -> &Arc<str> {
        &self.cache
    }
}

/// The claims of a challenge, as JSON.
pub(crate) type Claims = Arc<str>;

/// Why a token is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchReason {
    /// There has been no token yet.
    Empty,
    /// The token is still good, but not for long. Nobody waits for this fetch.
    Ahead,
    /// The token has expired, or is so close to it that callers wait.
    Expired,
    /// An API refused the token.
    Rejected,
}

impl FetchReason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Ahead => "ahead",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }
}

/// Makes a [`TokenFetcher`] from an async closure.
///
/// ```
/// use std::time::Duration;
/// use tower_bearer::{Token, TokenCache, TokenError, fetch_fn};
///
/// let tokens = TokenCache::new(fetch_fn(async |_| {
///     Ok::<_, TokenError>(Token::bearer("abc")?.expires_in(Duration::from_secs(60)))
/// }));
/// ```
pub fn fetch_fn<F, Fut, E>(fetch: F) -> FetchFn<F>
where
    F: Fn(FetchContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Token, E>> + Send,
    E: Into<BoxError>,
{
    FetchFn { fetch }
}

/// The fetcher that [`fetch_fn`] makes.
#[derive(Clone, Copy)]
pub struct FetchFn<F> {
    fetch: F,
}

impl<F, Fut, E> TokenFetcher for FetchFn<F>
where
    F: Fn(FetchContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Token, E>> + Send,
    E: Into<BoxError>,
{
    type Error = E;

    fn fetch(
        &self,
        context: FetchContext,
    ) -> impl Future<Output = Result<Token, Self::Error>> + Send {
        (self.fetch)(context)
    }
}

impl<F> fmt::Debug for FetchFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchFn").finish_non_exhaustive()
    }
}

/// The object-safe twin of [`TokenFetcher`], which the cache stores.
pub(crate) trait DynFetcher: Send + Sync {
    fn fetch(
        self: Arc<Self>,
        context: FetchContext,
    ) -> Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

    fn revoke(
        self: Arc<Self>,
        token: Token,
    ) -> Pin<Box<dyn Future<Output = Result<(), TokenError>> + Send>>;
}

impl<T: TokenFetcher> DynFetcher for T {
    fn fetch(
        self: Arc<Self>,
        context: FetchContext,
    ) -> Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>> {
        Box::pin(async move {
            TokenFetcher::fetch(&*self, context)
                .await
                .map_err(|error| TokenError::from_fetcher(error.into()))
        })
    }

    fn revoke(
        self: Arc<Self>,
        token: Token,
    ) -> Pin<Box<dyn Future<Output = Result<(), TokenError>> + Send>> {
        Box::pin(async move { TokenFetcher::revoke(&*self, token).await })
    }
}
