//! The authorization grant of a token request (RFC 6749 section 1.3).

use crate::{
    client_credentials::{
        auth::{Assertion, RequestContext},
        message::{Placement, RequestParts},
    },
    error::TokenError,
    secret::Secret,
};

/// What entitles the client to a token (RFC 6749 section 1.3).
#[derive(Clone)]
pub(crate) enum Grant {
    ClientCredentials,
    Password {
        username: String,
        password: Secret,
    },
    JwtBearer(Assertion),
    /// RFC 8693.
    TokenExchange {
        subject: TypedToken,
        actor: Option<TypedToken>,
    },
}

/// A token of somebody's, and what kind of token it is (RFC 8693 section 3).
#[derive(Clone)]
pub(crate) struct TypedToken {
    pub(crate) token: Secret,
    pub(crate) token_type: String,
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
            Self::TokenExchange { .. } => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    pub(super) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::ClientCredentials => Vec::new(),
            Self::Password { password, .. } => vec![password],
            Self::JwtBearer(assertion) => vec![assertion.secret()],
            Self::TokenExchange { subject, actor } => {
                [subject].into_iter().chain(actor).map(|typed| &typed.token).collect()
            }
        }
    }

    /// Whether a refusal with this code may be about what the grant has.
    pub(super) fn is_refused_with(&self, code: &str) -> bool {
        match self {
            // RFC 8693 section 2.2.2.
            Self::TokenExchange { .. } => matches!(code, "invalid_grant" | "invalid_request"),
            _ => code == "invalid_grant",
        }
    }

    /// Whether it names the client too, so that nothing else has to.
    pub(super) fn may_name_client(&self) -> bool {
        matches!(self, Self::JwtBearer(_) | Self::TokenExchange { .. })
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
            // The subject is told by its token alone.
            Self::TokenExchange { .. } => None,
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
            Self::TokenExchange { .. } if !parts.placement().has_body() => {
                return Err(TokenError::config(
                    "a subject token is not sent in a URL, use `token_exchange` \
                     without `params_in_query` and `legacy_get`",
                ));
            }
            Self::TokenExchange { subject, actor } => {
                parts.secret_param("subject_token", context.secrets.text(&subject.token));
                parts.param("subject_token_type", &*subject.token_type);
                if let Some(actor) = actor {
                    parts.secret_param("actor_token", context.secrets.text(&actor.token));
                    parts.param("actor_token_type", &*actor.token_type);
                }
            }
        }
        Ok(())
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "check the client's registration at the issuer",
            Self::Password { .. } => "check the username and the password",
            Self::JwtBearer(assertion) => assertion.hint(),
            Self::TokenExchange { .. } => {
                "check the subject token and its type, and that the client may exchange it"
            }
        }
    }
}
