use std::time::Duration;

use crate::error::TokenError;

/// The state of a [`TokenCache`](crate::TokenCache) at one moment, for a health endpoint.
///
/// [`TokenCache::status`](crate::TokenCache::status) makes it. It holds no token.
///
/// No token alone is no fault. Nobody may have asked for one yet, or nobody has for so long that the
/// last one has expired. It is a fault if there is no token and the last fetch failed:
///
/// ```
/// use http::StatusCode;
/// use tower_bearer::TokenCache;
///
/// fn health(tokens: &TokenCache) -> (StatusCode, String) {
///     let status = tokens.status();
///     match status.last_failure() {
///         Some(error) if !status.has_token() => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
///         _ => (StatusCode::OK, "ok".to_owned()),
///     }
/// }
/// # use tower_bearer::{Token, fetch_fn};
/// # let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
/// # assert_eq!(health(&tokens).0, 200);
/// ```
#[derive(Clone, Debug)]
pub struct TokenStatus {
    pub(super) expires_in: Option<Duration>,
    pub(super) is_rejected: bool,
    pub(super) is_fetching: bool,
    pub(super) failure: Option<(TokenError, Duration)>,
}

impl TokenStatus {
    /// Whether the cache has a token that has not expired. A request can use it, though it may be
    /// close to its expiry, or [rejected](Self::is_rejected).
    pub fn has_token(&self) -> bool {
        self.expires_in.is_some()
    }

    /// How long the token can still be used. `None` if there is no token, or if it has expired;
    /// [`Duration::MAX`] if it does not expire.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Whether an API refused the token, and no other has come yet. It is used only if no other can
    /// be had.
    pub fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self) -> bool {
        self.is_fetching
    }

    /// The failure of the last fetch that ended. `None` if that fetch brought a token, or if there
    /// was none.
    pub fn last_failure(&self) -> Option<&TokenError> {
        self.failure.as_ref().map(|(error, _)| error)
    }

    /// How long ago the [last failure](Self::last_failure) happened.
    pub fn failed_ago(&self) -> Option<Duration> {
        self.failure.as_ref().map(|(_, ago)| *ago)
    }
}
