//! The authorization grant of a token request (RFC 6749 section 1.3).

use crate::{
    client_credentials::{
        auth::{Assertion, RequestContext, Secret},
        message::{Placement, RequestParts},
    },
    error::TokenError,
};

/// What entitles the client to a token (RFC 6749 section 1.3).
#[derive(Clone)]
pub(crate) enum Grant {
    ClientCredentials,
    Password { username: String, password: Secret },
    JwtBearer(Assertion),
}

/// What is sent as `grant_type`.
#[derive(Clone, Debug)]
pub(crate) enum GrantType {
    /// What RFC 6749 says for the grant.
    Registered,
    Custom(String),
    Omitted,
}

impl Grant {
    pub(super) fn grant_type(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Password { .. } => "password",
            Self::JwtBearer(_) => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::ClientCredentials => None,
            Self::Password { password, .. } => Some(password),
            Self::JwtBearer(assertion) => Some(assertion.secret()),
        }
    }

    /// What tells whom the token is for. `None` if only a secret tells.
    #[cfg(feature = "shared")]
    pub(super) fn identity(&self) -> Option<serde_json::Value> {
        match self {
            Self::ClientCredentials => Some(serde_json::json!("client_credentials")),
            Self::Password { username, .. } => Some(serde_json::json!({ "username": username })),
            Self::JwtBearer(assertion) => {
                Some(serde_json::json!({ "assertion": assertion.identity()? }))
            }
        }
    }

    /// Adds what goes along with `grant_type`.
    pub(super) fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        match self {
            Self::ClientCredentials => {}
            Self::Password { username, .. } if username.is_empty() => {
                return Err(TokenError::config(
                    "the username of the password grant is empty, pass the resource owner's",
                ));
            }
            Self::Password { .. } if parts.placement() == Placement::Query => {
                return Err(TokenError::config(
                    "a password is not sent in a URL, use `legacy_password_grant` \
                     without `params_in_query`",
                ));
            }
            Self::Password { username, password } => {
                parts.param("username", &**username);
                parts.secret_param("password", context.secrets.text(password));
            }
            Self::JwtBearer(_) if !parts.placement().has_body() => {
                return Err(TokenError::config(
                    "an assertion is not sent in a URL, use `jwt_bearer_grant` \
                     without `params_in_query` and `legacy_get`",
                ));
            }
            Self::JwtBearer(assertion) => assertion.apply("assertion", context, parts)?,
        }
        Ok(())
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "check the client's registration at the issuer",
            Self::Password { .. } => "check the username and the password",
            Self::JwtBearer(assertion) => assertion.hint(),
        }
    }
}
