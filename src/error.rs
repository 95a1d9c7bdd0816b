use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use http::StatusCode;

/// A type-erased error, as tower's own middleware uses.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no token for a request.
///
/// This crate has one error type. [`BearerAuth`](crate::BearerAuth) returns it inside a
/// [`BoxError`]. A caller downcasts, to tell it from an error of the wrapped client:
///
/// ```
/// use tower_bearer::{BoxError, TokenError};
///
/// fn retry_in(error: &BoxError) -> Option<std::time::Duration> {
///     error.downcast_ref::<TokenError>()?.retry_after()
/// }
/// # assert!(retry_in(&"another error".into()).is_none());
/// ```
///
/// Cloning is cheap: all callers who waited for a failed fetch get the same error. `Display` is one
/// clause that says what to do next. The cause, if there is one, is the [`source`](Error::source).
/// Neither holds a token, a secret or the query of a URL.
#[derive(Clone)]
pub struct TokenError {
    inner: Arc<Inner>,
    retry_after: Option<Duration>,
}

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    code: Option<String>,
    description: Option<String>,
    status: Option<StatusCode>,
    transient: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Insecure,
    InvalidToken,
    Malformed,
    UnsupportedTokenType,
    TooLarge,
    Answer,
    Fetch,
    Timeout,
    Selection,
}

impl TokenError {
    /// A refusal by the issuer, for fetchers to return. Another attempt would get the same answer.
    ///
    /// The cache remembers it for 1 to 5 seconds. So a corrected secret is noticed soon, and the
    /// issuer is not asked once per request meanwhile.
    pub fn refused(source: impl Into<BoxError>) -> Self {
        let message = "the issuer refused to give a token, check the client's credentials";
        Self::new(Kind::Answer, message).with_source(source)
    }

    /// A failure that may be gone at the next attempt, for fetchers to return.
    ///
    /// An error of any other type that a fetcher returns counts as such a failure.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        let message = "no token could be fetched, check that the issuer can be reached";
        let mut error = Self::new(Kind::Fetch, message).with_source(source);
        error.edit().transient = true;
        error
    }

    /// States how long to wait before the next attempt, as `Retry-After` does (RFC 9110 section
    /// 10.2.3). The cache honours up to 5 minutes while it has a token, and up to 60 seconds otherwise.
    pub fn retry_in(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// How long to wait before another attempt, if that is known. It is what the issuer asked for, or how
    /// long the cache will go on returning this failure.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The issuer's `error` code (RFC 6749 section 5.2), for example `invalid_client`.
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    /// The issuer's `error_description`. It is escaped and at most 1,024 characters long. If the issuer
    /// repeated the client's secret, a sentence that says so stands in its place.
    pub fn description(&self) -> Option<&str> {
        self.inner.description.as_deref()
    }

    /// The HTTP status of the issuer's response, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// Whether the failure may be gone at the next attempt: the issuer could not be reached, took too
    /// long, or said so (408, 425, 429, most of 5xx, `temporarily_unavailable`).
    pub fn is_transient(&self) -> bool {
        self.inner.transient
    }

    /// Whether the issuer refused to give a token. Another attempt is refused too, until somebody changes the
    /// client's registration or its secret.
    pub fn is_refused(&self) -> bool {
        self.inner.kind == Kind::Answer && !self.inner.transient
    }

    /// Whether the fetch took longer than the cache's
    /// [fetch timeout](crate::TokenCacheBuilder::fetch_timeout).
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == Kind::Timeout
    }

    /// Whether the crate is set up or used in a way that cannot work: a malformed endpoint, an empty
    /// client id, no tokio runtime, a fetcher that waits for its own token.
    pub fn is_config(&self) -> bool {
        self.inner.kind == Kind::Config
    }

    /// The function failed that selects a token for each request
    /// ([`BearerAuthLayer::select`](crate::BearerAuthLayer::select)), or that makes the cache for a key.
    /// [`source`](std::error::Error::source) is its own error, such as that of an unknown tenant.
    pub fn is_selection(&self) -> bool {
        self.inner.kind == Kind::Selection
    }

    /// Whether a token or a secret would have been sent over plain `http`. Nothing was sent.
    pub fn is_insecure(&self) -> bool {
        self.inner.kind == Kind::Insecure
    }

    /// Whether the access token is empty or has characters that a header cannot carry.
    pub fn is_invalid_token(&self) -> bool {
        self.inner.kind == Kind::InvalidToken
    }

    /// Whether the issuer's response is not a token response (RFC 6749 section 5.1).
    pub fn is_malformed(&self) -> bool {
        self.inner.kind == Kind::Malformed
    }

    /// Whether the issuer returned a token that is not a bearer token (RFC 6749 section 7.1).
    pub fn is_unsupported_token_type(&self) -> bool {
        self.inner.kind == Kind::UnsupportedTokenType
    }

    /// Whether the issuer's response is larger than the limit.
    pub fn is_too_large(&self) -> bool {
        self.inner.kind == Kind::TooLarge
    }

    pub(crate) fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        let inner = Inner {
            kind,
            message: message.into(),
            code: None,
            description: None,
            status: None,
            transient: kind == Kind::Timeout,
            source: None,
        };
        Self { inner: Arc::new(inner), retry_after: None }
    }

    #[cold]
    pub(crate) fn too_many_headers() -> Self {
        Self::config("the request has so many headers that the token does not fit, send fewer")
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Config, message)
    }

    pub(crate) fn no_runtime() -> Self {
        Self::config(
            "there is no tokio runtime here to fetch a token on, call this from within one",
        )
    }

    pub(crate) fn behind_itself() -> Self {
        Self::config(
            "the token fetcher waits for the very token that it is to fetch, \
             give it a client without this layer",
        )
    }

    pub(crate) fn lost() -> Self {
        Self::unavailable(
            "every runtime that the fetch ran on was shut down or is not driven any more",
        )
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        let message = format!(
            "the issuer gave no token within {after:?}, check that it can be reached or raise the \
             cache's fetch timeout"
        );
        Self::new(Kind::Timeout, message)
    }

    pub(crate) fn revocation_timed_out(after: Duration) -> Self {
        let message = format!(
            "the issuer did not revoke the token within {after:?}, check that it can be reached"
        );
        Self::new(Kind::Timeout, message)
    }

    /// What the user's function returned that was to select a token, or to make a cache for it.
    pub(crate) fn selecting(error: BoxError) -> Self {
        match error.downcast::<TokenError>() {
            Ok(error) => *error,
            Err(error) => {
                let message = "no token could be selected for this request, the source says why";
                Self::new(Kind::Selection, message).with_source(error)
            }
        }
    }

    /// What a fetcher returned, which may well be one of ours already.
    pub(crate) fn from_fetcher(error: BoxError) -> Self {
        match error.downcast::<TokenError>() {
            Ok(error) => *error,
            Err(error) => Self::unavailable(error),
        }
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.edit().source = Some(Arc::from(source.into()));
        self
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.inner)
    }
}

#[cfg_attr(
    not(feature = "client-credentials"),
    allow(dead_code, reason = "what DPoP and the shared store do not need")
)]
impl TokenError {
    pub(crate) fn in_field(self, field: &str) -> Self {
        self.of(format_args!("`{}`", field.escape_debug()))
    }

    /// Says first what it is about.
    pub(crate) fn of(mut self, what: impl fmt::Display) -> Self {
        let inner = self.edit();
        inner.message = format!("{what}: {}", inner.message).into();
        self
    }

    /// The same kind of failure in other words, and as good or bad to try again.
    pub(crate) fn retold(&self, message: String) -> Self {
        let mut error = Self::new(self.inner.kind, message);
        error.edit().transient = self.inner.transient;
        Self { retry_after: self.retry_after, ..error }
    }

    pub(crate) fn transient(mut self) -> Self {
        self.edit().transient = true;
        self
    }

    pub(crate) fn with_answer(mut self, status: StatusCode, transient: bool) -> Self {
        let inner = self.edit();
        inner.status = Some(status);
        inner.transient = transient;
        self
    }

    pub(crate) fn with_code(mut self, code: String, description: Option<String>) -> Self {
        let inner = self.edit();
        inner.code = Some(code);
        inner.description = description;
        self
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.debug_struct("TokenError")
            .field("kind", &inner.kind)
            .field("message", &inner.message)
            .field("code", &inner.code)
            .field("description", &inner.description)
            .field("status", &inner.status)
            .field("transient", &inner.transient)
            .field("retry_after", &self.retry_after)
            .field("source", &inner.source)
            .finish()
    }
}
