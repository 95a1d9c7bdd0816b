use secrecy::{ExposeSecret, SecretString};

use super::{draft::Draft, redactor::Redactor};
use crate::error::TokenError;

/// What entitles the client to a token (RFC 6749 section 1.3).
pub(super) enum Grant {
    ClientCredentials,
    Password { username: String, password: SecretString },
}

impl Grant {
    pub(super) fn grant_type(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Password { .. } => "password",
        }
    }

    pub(super) fn check(&self) -> Result<(), TokenError> {
        match self {
            Self::Password { username, .. } if username.is_empty() => Err(TokenError::config(
                "the username of the password grant is empty, pass the resource owner's",
            )),
            _ => Ok(()),
        }
    }

    /// Adds what goes along with `grant_type`.
    pub(super) fn apply<'a>(&'a self, draft: &mut Draft<'a>) {
        if let Self::Password { username, password } = self {
            draft.param("username", username);
            draft.param("password", password.expose_secret());
        }
    }

    pub(super) fn hide(&self, redactor: &mut Redactor) {
        if let Self::Password { password, .. } = self {
            redactor.hide(password.expose_secret());
        }
    }
}
