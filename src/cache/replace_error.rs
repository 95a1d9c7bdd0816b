use std::fmt;

use crate::error::TokenError;

/// Why no other token takes the place of a rejected one.
#[derive(Debug)]
pub(crate) enum ReplaceError {
    Fetch(TokenError),
    SameToken,
    Cooldown,
}

impl ReplaceError {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "no_token",
            Self::SameToken => "same_token",
            Self::Cooldown => "cooldown",
        }
    }
}

impl From<TokenError> for ReplaceError {
    fn from(error: TokenError) -> Self {
        Self::Fetch(error)
    }
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::SameToken => f.write_str("the issuer gave the same token again"),
            Self::Cooldown => f.write_str("new tokens were refused too, a moment ago"),
        }
    }
}
