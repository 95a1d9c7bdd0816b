use std::fmt;

use crate::{cache::ReplaceError, error::TokenError};

/// Why a refused request was not sent once more. The layer puts it into the extensions of the response
/// that the caller gets.
///
/// ```
/// # use tower_bearer::NotReplayed;
/// # let response = http::Response::new(());
/// if let Some(why) = response.extensions().get::<NotReplayed>() {
///     eprintln!("{why}");
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotReplayed {
    /// The request's body cannot be sent again: the [replay policy](crate::replay) keeps no bodies, the body
    /// is larger than the policy's limit, or it has failed. The next request gets another token.
    Body,
    /// The fetch of another token failed, with this error.
    NoToken(TokenError),
    /// The issuer returned the refused token again.
    SameToken,
    /// The last tokens that were fetched for this reason were refused too, or were many, so the issuer is not
    /// asked again yet. See [`TokenCache::reject`](crate::TokenCache::reject).
    Cooldown,
}

impl From<ReplaceError> for NotReplayed {
    fn from(why: ReplaceError) -> Self {
        match why {
            ReplaceError::Fetch(error) => Self::NoToken(error),
            ReplaceError::SameToken => Self::SameToken,
            ReplaceError::Cooldown => Self::Cooldown,
        }
    }
}

impl fmt::Display for NotReplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is not sent once more: ")?;
        match self {
            Self::Body => f.write_str("its body cannot be sent again"),
            Self::NoToken(error) => error.fmt(f),
            Self::SameToken => f.write_str("the issuer gave the same token again"),
            Self::Cooldown => f.write_str("new tokens were refused too, a moment ago"),
        }
    }
}
