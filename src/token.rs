use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;

#[cfg(feature = "dpop")]
use crate::dpop::{AccessTokenHash, DpopKey, KeyBinding};
use crate::{
    binding::Binding,
    error::{Kind, TokenError},
    striped::{OwnLine, Striped},
};

const BEARER: &str = "Bearer ";

/// An access token and how long it is good for.
///
/// The token is kept as the value of an `Authorization` header that is marked
/// [sensitive](HeaderValue::is_sensitive), so HTTP/2 does not index it and `Debug` does not show
/// it. Cloning is cheap.
///
/// ```
/// use std::time::Duration;
/// use tower_bearer::Token;
///
/// # fn main() -> Result<(), tower_bearer::TokenError> {
/// let token = Token::bearer("mF_9.B5f-4.1JqM")?.expires_in(Duration::from_secs(3600));
/// assert_eq!(token.header_value(), "Bearer mF_9.B5f-4.1JqM");
/// assert!(!format!("{token:?}").contains("mF_9"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Token {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    id: TokenId,
    header: HeaderValue,
    /// The same value, for the threads that clone it at once.
    copies: Striped<HeaderValue>,
    /// How much of the header stands before the token.
    prefix: usize,
    lifetime: Option<Duration>,
    scope: Option<Box<str>>,
    binding: Option<Arc<dyn Binding>>,
}

/// Identifies a token, for comparison with others. It is a hash with a key of this process, and costs less
/// than a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenId(u64);

impl TokenId {
    fn of(header: &HeaderValue) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEY.hash_one(header.as_bytes()))
    }
}

impl Token {
    /// A bearer token (RFC 6750 section 2.1) of unknown lifetime.
    ///
    /// The characters allowed are those of RFC 6749 appendix A.12 except the space: `%x21-7E`. The
    /// narrower `b64token` of RFC 6750 would exclude issuers that are in wide use.
    ///
    /// # Errors
    ///
    /// [`is_invalid_token`](TokenError::is_invalid_token) if the token is empty or has a space, a
    /// control character or a character outside ASCII. Nothing is trimmed.
    pub fn bearer(access_token: &str) -> Result<Self, TokenError> {
        Self::prefixed(BEARER, access_token)
    }

    /// A token that is sent after another word than `Bearer`. The prefix is written as it is: `Token` and
    /// a space, `OAuth` and a space, or nothing.
    ///
    /// To send it in a header other than `Authorization`, call
    /// [`BearerAuthLayer::header`](crate::BearerAuthLayer::header).
    ///
    /// ```
    /// use tower_bearer::Token;
    ///
    /// let token = Token::prefixed("Token ", "mF_9.B5f-4.1JqM")?;
    /// assert_eq!(token.header_value(), "Token mF_9.B5f-4.1JqM");
    /// assert_eq!(token.expose(), "mF_9.B5f-4.1JqM");
    /// # Ok::<_, tower_bearer::TokenError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`bearer`](Self::bearer), and [`is_config`](TokenError::is_config) if the prefix has
    /// a control or a non-ASCII character or starts with a space.
    pub fn prefixed(prefix: &str, access_token: &str) -> Result<Self, TokenError> {
        let invalid = |message: &'static str| TokenError::new(Kind::InvalidToken, message);
        if prefix.starts_with(' ') || !prefix.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(TokenError::config(
                "the token's prefix starts with a space or has a control or a non-ASCII character, \
                 write it as it stands in the header",
            ));
        }
        if access_token.is_empty() {
            return Err(invalid("the access token is empty, check what the fetcher returns"));
        }
        if !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "the access token has a space, a control or a non-ASCII character, \
                 check that the fetcher returns the bare token",
            ));
        }
        let mut header = HeaderValue::try_from([prefix, access_token].concat())
            .map_err(|_| invalid("the access token does not fit into a header"))?;
        header.set_sensitive(true);
        let (id, prefix, copies) = (TokenId::of(&header), prefix.len(), Striped::new());
        let inner =
            Inner { id, header, copies, prefix, lifetime: None, scope: None, binding: None };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A token that is bound to this key by DPoP (RFC 9449), for fetchers other than
    /// [`ClientCredentials`](crate::ClientCredentials).
    ///
    /// [`BearerAuth`](crate::BearerAuth) sends it as `Authorization: DPoP`, with a proof of its own in each
    /// request.
    ///
    /// # Errors
    ///
    /// As for [`bearer`](Self::bearer).
    #[cfg(feature = "dpop")]
    pub fn dpop(access_token: &str, key: &DpopKey) -> Result<Self, TokenError> {
        let mut token = Self::prefixed("DPoP ", access_token)?;
        let hash = Arc::new(AccessTokenHash::of(access_token));
        let binding = KeyBinding { key: key.clone(), hash };
        Arc::make_mut(&mut token.inner).binding = Some(Arc::new(binding));
        Ok(token)
    }

    /// States how long the token is good for, as `expires_in` does (RFC 6749 section 5.1). The time counts
    /// from just before the fetch of the token began.
    ///
    /// With zero, the token goes to the callers who wait for it and is then forgotten. With
    /// [`Duration::MAX`] it does not expire. Without this call the lifetime is unknown, and the cache's
    /// [default](crate::TokenCacheBuilder::default_lifetime) applies.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        Arc::make_mut(&mut self.inner).lifetime = Some(lifetime);
        self
    }

    /// States the scope that was granted (RFC 6749 section 3.3). Callers may read it. The crate does not
    /// act on it.
    pub fn scope(mut self, scope: &str) -> Self {
        Arc::make_mut(&mut self.inner).scope = Some(scope.into());
        self
    }

    /// How long the token was good for when it was issued, if that is known.
    pub fn lifetime(&self) -> Option<Duration> {
        self.inner.lifetime
    }

    /// The scope that the issuer says it granted, which may be narrower than what was asked for.
    pub fn granted_scope(&self) -> Option<&str> {
        self.inner.scope.as_deref()
    }

    /// The value for an `Authorization` header, prefix and token. It is marked sensitive.
    ///
    /// Threads that ask for it at once get different copies of it, so that cloning it does not make
    /// them wait for each other.
    #[inline]
    pub fn header_value(&self) -> &HeaderValue {
        let Inner { header, copies, .. } = &*self.inner;
        copies.get_or_init(|| own_copy(header))
    }

    /// The access token without the prefix, for protocols that do not carry it in an HTTP header. The token
    /// is a secret: keep it out of logs.
    pub fn expose(&self) -> &str {
        let value = self.inner.header.to_str().unwrap_or_default();
        value.get(self.inner.prefix..).unwrap_or_default()
    }

    #[cfg(feature = "shared")]
    pub(crate) fn prefix(&self) -> &str {
        let value = self.inner.header.to_str().unwrap_or_default();
        value.get(..self.inner.prefix).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn references(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    #[cfg(test)]
    pub(crate) fn original(&self) -> &HeaderValue {
        &self.inner.header
    }

    /// The key that it is bound to.
    #[inline]
    pub(crate) fn binding(&self) -> Option<&dyn Binding> {
        self.inner.binding.as_deref()
    }

    pub(crate) fn id(&self) -> TokenId {
        self.inner.id
    }
}

/// A copy whose reference count is not on the same cache line as anything else.
#[cold]
fn own_copy(header: &HeaderValue) -> HeaderValue {
    let bytes = Bytes::from_owner(OwnLine(Box::<[u8]>::from(header.as_bytes())));
    let mut copy = HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| header.clone());
    copy.set_sensitive(header.is_sensitive());
    copy
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Token");
        f.field("header", &self.inner.header)
            .field("lifetime", &self.inner.lifetime)
            .field("scope", &self.inner.scope);
        if let Some(binding) = self.binding() {
            f.field("key", &binding);
        }
        f.finish()
    }
}
