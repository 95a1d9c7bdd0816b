//! The client authentication methods (RFC 6749 section 2.3), and what each of them adds to a token
//! request.

use http::{HeaderValue, header::AUTHORIZATION};

use super::{assertion::Assertion, basic};
use crate::{
    client_credentials::message::{RequestContext, RequestParts},
    error::TokenError,
    secret::Secret,
};

/// The `client_assertion_type` of a JWT (RFC 7523 section 2.2).
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the client authenticates, and with what.
#[derive(Clone)]
pub(crate) enum AuthMethod {
    Basic(Secret),
    BasicUnencoded(Secret),
    Post(Secret),
    LegacyQuery(Secret),
    Header(Secret),
    Assertion { assertion: Assertion, of_type: String },
    None,
}

/// The names of the parameters that name and authenticate the client, which some issuers rename.
#[derive(Clone)]
pub(super) struct ParameterNames {
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Default for ParameterNames {
    fn default() -> Self {
        Self { client_id: "client_id".into(), client_secret: "client_secret".into() }
    }
}

impl AuthMethod {
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Basic(secret)
            | Self::BasicUnencoded(secret)
            | Self::Post(secret)
            | Self::LegacyQuery(secret)
            | Self::Header(secret) => Some(secret),
            Self::Assertion { assertion, .. } => Some(assertion.secret()),
            Self::None => None,
        }
    }

    /// Whom it names beside the client's id. `None` if only what it sends can tell that, or what it does not
    /// see: an assertion made by others, a header, a certificate.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> Option<serde_json::Value> {
        match self {
            Self::Basic(_) | Self::BasicUnencoded(_) | Self::Post(_) | Self::LegacyQuery(_) => {
                Some(serde_json::Value::Null)
            }
            Self::Assertion { assertion, .. } => assertion.identity(),
            Self::Header(_) | Self::None => None,
        }
    }

    /// Whether it is one of these, by the names that metadata has for them (RFC 8414 section 2). A
    /// method without a name counts as one of them.
    pub(super) fn is_any_of(&self, methods: &[&str]) -> bool {
        let names = self.registered_names();
        names.is_empty() || names.iter().any(|name| methods.contains(name))
    }

    fn registered_names(&self) -> &'static [&'static str] {
        match self {
            Self::Basic(_) | Self::BasicUnencoded(_) => &["client_secret_basic"],
            Self::Post(_) => &["client_secret_post"],
            Self::Assertion { assertion, of_type } if of_type == JWT_BEARER => {
                assertion.registered_names()
            }
            // A certificate cannot be seen from here.
            Self::None => &["none", "tls_client_auth", "self_signed_tls_client_auth"],
            Self::LegacyQuery(_) | Self::Header(_) | Self::Assertion { .. } => &[],
        }
    }

    /// The same secret sent by the first of these methods that can send it.
    pub(super) fn by_first_of(&self, methods: &[&str]) -> Option<Self> {
        let (Self::Basic(secret) | Self::BasicUnencoded(secret) | Self::Post(secret)) = self else {
            return None;
        };
        methods.iter().find_map(|method| match *method {
            "client_secret_basic" => Some(Self::Basic(secret.clone())),
            "client_secret_post" => Some(Self::Post(secret.clone())),
            _ => None,
        })
    }

    pub(crate) fn is_external_assertion(&self) -> bool {
        matches!(self, Self::Assertion { assertion, .. } if assertion.is_external())
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether the client is named in what is sent.
    pub(crate) fn needs_client_id(&self) -> bool {
        !matches!(self, Self::Header(_))
    }

    pub(super) fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        names: &'a ParameterNames,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        let client_id = context.client_id;
        match self {
            Self::Basic(secret) => {
                let pair = basic::encoded_pair(client_id, context.secrets.text(secret));
                parts.headers.insert(AUTHORIZATION, basic::header(&pair));
                parts.redactor.hide(context.secrets.text(secret));
            }
            Self::BasicUnencoded(secret) => {
                let secret = context.secrets.text(secret);
                basic::check_unencoded(client_id, secret)?;
                parts.headers.insert(AUTHORIZATION, basic::header(&basic::pair(client_id, secret)));
                parts.redactor.hide(secret);
            }
            Self::Post(_) | Self::Assertion { .. } if !parts.placement.has_body() => {
                return Err(TokenError::config(
                    "`ClientAuth::post` and `ClientAuth::assertion` need a body to be in, use \
                     another `ClientAuth` or neither `Placement::Query` nor `Placement::LegacyGet`",
                ));
            }
            Self::Post(secret) => {
                let secret = context.secrets.text(secret);
                parts.param(&names.client_id, client_id);
                parts.param(&names.client_secret, secret);
                parts.redactor.hide(secret);
            }
            Self::LegacyQuery(secret) => {
                let secret = context.secrets.text(secret);
                parts.query_param(&names.client_id, client_id);
                parts.query_param(&names.client_secret, secret);
                parts.redactor.hide(secret);
            }
            Self::Header(value) => {
                let value = context.secrets.text(value);
                parts.headers.insert(AUTHORIZATION, header(value)?);
                parts.redactor.hide(value);
            }
            Self::Assertion { assertion, of_type } => {
                parts.param(&names.client_id, client_id);
                parts.param("client_assertion_type", &**of_type);
                assertion.apply("client_assertion", context, parts)?;
            }
            Self::None if client_id.is_empty() => {}
            Self::None => parts.param(&names.client_id, client_id),
        }
        Ok(())
    }

    /// Whether [`apply`](Self::apply) adds the client's id as a parameter.
    pub(super) fn has_client_id_param(&self) -> bool {
        !matches!(self, Self::Basic(_) | Self::BasicUnencoded(_) | Self::Header(_))
    }

    /// Whether [`apply`](Self::apply) adds the client's secret as a parameter.
    pub(super) fn has_client_secret_param(&self) -> bool {
        matches!(self, Self::Post(_) | Self::LegacyQuery(_))
    }

    /// What to look at if the issuer does not know the client.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Assertion { assertion, .. } => assertion.hint(),
            _ => "check the client id, its secret and how they are sent",
        }
    }

    /// What to look at besides if the issuer may not have understood who the client is.
    pub(crate) fn encoding_hint(&self, context: RequestContext<'_>) -> Option<&'static str> {
        let (secret, hint) = match self {
            Self::Basic(secret) => (
                secret,
                "form-encoding changes the id or the secret, so the issuer may want \
                 `ClientAuth::basic_unencoded` or `ClientAuth::post`",
            ),
            Self::BasicUnencoded(secret) => (
                secret,
                "form-encoding changes the id or the secret, so the issuer may want \
                 `ClientAuth::basic` or `ClientAuth::post`",
            ),
            _ => return None,
        };
        let (client_id, secret) = (context.client_id, context.secrets.text(secret));
        (basic::pair(client_id, secret) != basic::encoded_pair(client_id, secret)).then_some(hint)
    }
}

fn header(value: &str) -> Result<HeaderValue, TokenError> {
    let is_sound = !value.trim().is_empty() && value.bytes().all(|b| matches!(b, b' '..=b'~'));
    let value = is_sound.then(|| HeaderValue::try_from(value).ok()).flatten();
    let mut value = value.ok_or_else(|| {
        TokenError::config(
            "the value of `ClientAuth::header` is empty or has a control or a non-ASCII character, \
             pass a scheme and printable text",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
