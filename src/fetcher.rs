use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::{BoxError, TokenError},
    token::Token,
};

/// Gets a token from an issuer.
///
/// [`ClientCredentials`](crate::ClientCredentials) is the one that most services want. Write your
/// own for anything else that yields a token, or pass an async closure through [`fetch_fn`].
///
/// The cache calls it for one token at a time, in a task of its own, under a timeout. It need not
/// remember tokens, share failures or survive cancellation. It may retry, but the cache waits
/// between its own attempts anyway.
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
/// A [`TokenCache`](crate::TokenCache) is not a fetcher. A second cache around it would serve a
/// token that the first has given up:
///
/// ```compile_fail,E0277
/// # use tower_bearer::{Token, TokenCache, fetch_fn};
/// let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
/// let more = TokenCache::new(tokens);
/// ```
///
/// Clone it to share it:
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
    /// What a failed fetch returns. A [`TokenError`] arrives at the caller as it is; any other
    /// type is taken as [transient](TokenError::unavailable).
    type Error: Into<BoxError>;

    /// Gets one token.
    fn fetch(
        &self,
        context: FetchContext,
    ) -> impl Future<Output = Result<Token, Self::Error>> + Send;
}

impl<T: TokenFetcher> TokenFetcher for Arc<T> {
    type Error = T::Error;

    fn fetch(
        &self,
        context: FetchContext,
    ) -> impl Future<Output = Result<Token, Self::Error>> + Send {
        T::fetch(self, context)
    }
}

/// What a fetch is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchContext {
    reason: FetchReason,
    rejected: Option<Token>,
    behind: FetchesBehind,
}

impl FetchContext {
    /// Why a token is needed.
    pub fn reason(&self) -> FetchReason {
        self.reason
    }

    /// The token that an API refused, where that is the reason. A fetcher with a cache of its own
    /// behind it should not return this one again.
    pub fn rejected(&self) -> Option<&Token> {
        self.rejected.as_ref()
    }

    pub(crate) fn new(reason: FetchReason, rejected: Option<Token>, behind: FetchesBehind) -> Self {
        Self { reason, rejected, behind }
    }

    /// Marks a token request, so that the layer can tell if it is itself part of the client that
    /// sends it, and fail at once instead of waiting for itself. Without the mark it can tell
    /// only as long as the request stays in the task of the fetch, which a `Buffer` leaves.
    ///
    /// [`ClientCredentials`](crate::ClientCredentials) does this.
    pub fn mark(&self, extensions: &mut http::Extensions) {
        extensions.insert(self.behind.clone());
    }
}

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
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Ahead => "ahead",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }
}

/// The caches that are waiting for a fetch. It goes along with the token request as an extension,
/// so that a request which would wait for its own outcome is found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchesBehind(Arc<[usize]>);

impl FetchesBehind {
    pub(crate) fn contains(&self, cache: usize) -> bool {
        self.0.contains(&cache)
    }

    pub(crate) fn and(&self, cache: usize) -> Self {
        Self(self.0.iter().copied().chain([cache]).collect())
    }
}

/// Makes a [`TokenFetcher`] of an async closure.
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
}
