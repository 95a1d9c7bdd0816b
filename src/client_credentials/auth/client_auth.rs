use std::fmt;

use http::{HeaderValue, header::AUTHORIZATION};
use secrecy::SecretString;

use super::{
    assertion::Assertion, basic, parameter_names::Names, request_context::Attempt, secret::Secret,
};
use crate::{client_credentials::message::Draft, error::TokenError};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the client authenticates at the token endpoint.
///
/// Exactly one method is used in a request (RFC 6749 section 2.3), and none is ever probed: a
/// wrong guess would count as a failed login. A bare secret, such as `"s3cr3t"`, stands for
/// [`basic`](Self::basic).
///
/// `Debug` shows the method and not the secret.
#[derive(Clone)]
pub struct ClientAuth {
    method: Method,
}

#[derive(Clone)]
enum Method {
    Basic(Secret),
    BasicUnencoded(Secret),
    Post(Secret),
    LegacyQuery(Secret),
    Header(Secret),
    Assertion { assertion: Assertion, of_type: String },
    None,
}

impl ClientAuth {
    /// `client_secret_basic`: id and secret in an `Authorization: Basic` header, both
    /// form-encoded first (RFC 6749 section 2.3.1). The default, and the method that every
    /// authorization server has to offer.
    ///
    /// A space is sent as `%20`, which servers that decode at all understand. Where id and secret
    /// consist of letters, digits, `-`, `_`, `.` and `*`, this is the same as
    /// [`basic_unencoded`](Self::basic_unencoded). An empty secret is sent as such.
    pub fn basic(secret: impl Into<Secret>) -> Self {
        Self { method: Method::Basic(secret.into()) }
    }

    /// As [`basic`](Self::basic), but with id and secret as they are (RFC 7617 section 2), in
    /// UTF-8. This is what `curl -u` sends, and what servers expect that do not decode: SAP
    /// XSUAA and Sabre among others.
    ///
    /// # Errors
    ///
    /// An id with a colon, and control characters in either:
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses them, or the fetch if they are read
    /// only then.
    pub fn basic_unencoded(secret: impl Into<Secret>) -> Self {
        Self { method: Method::BasicUnencoded(secret.into()) }
    }

    /// `client_secret_post`: `client_id` and `client_secret` in the form (RFC 6749 section
    /// 2.3.1), or in the JSON of [`json_body`](crate::ClientCredentialsBuilder::json_body). An empty
    /// secret is sent as such.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with
    /// [`params_in_query`](crate::ClientCredentialsBuilder::params_in_query) and
    /// [`legacy_get`](crate::ClientCredentialsBuilder::legacy_get), which leave no form.
    pub fn post(secret: impl Into<Secret>) -> Self {
        Self { method: Method::Post(secret.into()) }
    }

    /// **Legacy:** `client_id` and `client_secret` in the query of the URL, which RFC 6749
    /// section 2.3.1 forbids.
    ///
    /// URLs end up in the logs of every proxy and server on the way, and the secret with them.
    /// This crate keeps them out of its own errors, but the HTTP client you hand in may log them.
    /// Use it for issuers that take nothing else, and treat the secret as known.
    pub fn legacy_query(secret: impl Into<Secret>) -> Self {
        Self { method: Method::LegacyQuery(secret.into()) }
    }

    /// Another `Authorization` header: its whole value, scheme and all. For issuers with a scheme
    /// of their own, such as Workday's `ID <base64 of id:secret>`, or that want an API key as
    /// `Bearer`, as Stripe does.
    ///
    /// The client's id is not sent along, and may be empty, unless
    /// [`client_id_in_body`](crate::ClientCredentialsBuilder::client_id_in_body) asks for it.
    ///
    /// # Errors
    ///
    /// A value with control or non-ASCII characters, as for
    /// [`basic_unencoded`](Self::basic_unencoded).
    pub fn header(value: impl Into<Secret>) -> Self {
        Self { method: Method::Header(value.into()) }
    }

    /// A signed statement in place of a secret (RFC 7523 section 2.2): `client_assertion` and
    /// `client_assertion_type`, with `client_id` beside them.
    ///
    /// Made here, it is `private_key_jwt` or `client_secret_jwt`, with the feature `jwt` and a
    /// `Jwt`. Made by others, it comes from a [`Secret`], here a token that Kubernetes replaces
    /// every hour:
    ///
    /// ```
    /// use tower_bearer::{ClientAuth, Secret};
    ///
    /// let auth = ClientAuth::assertion(Secret::file("/var/run/secrets/tokens/issuer"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with
    /// [`params_in_query`](crate::ClientCredentialsBuilder::params_in_query) and
    /// [`legacy_get`](crate::ClientCredentialsBuilder::legacy_get). An assertion with a space,
    /// control or non-ASCII characters is refused before it is sent.
    pub fn assertion(assertion: impl Into<Assertion>) -> Self {
        let of_type = JWT_BEARER.to_owned();
        Self { method: Method::Assertion { assertion: assertion.into(), of_type } }
    }

    /// As [`assertion`](Self::assertion), with another `client_assertion_type` than
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, as SPIFFE's has it.
    pub fn assertion_of_type(
        assertion_type: impl Into<String>,
        assertion: impl Into<Assertion>,
    ) -> Self {
        let of_type = assertion_type.into();
        Self { method: Method::Assertion { assertion: assertion.into(), of_type } }
    }

    /// No secret: only `client_id` is sent, as a parameter.
    ///
    /// For clients that authenticate with a TLS certificate (RFC 8705 section 2), which is then
    /// the matter of the HTTP client, and for public clients of the password grant. A public
    /// client must not use the client credentials grant (RFC 6749 section 4.4); this is not
    /// checked, since a certificate cannot be seen from here.
    ///
    /// With [`jwt_bearer_grant`](crate::ClientCredentialsBuilder::jwt_bearer_grant), where the
    /// assertion says it all, the client's id may be empty and is then not sent (RFC 7523 section
    /// 2.1).
    pub fn none() -> Self {
        Self { method: Method::None }
    }

    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.method {
            Method::Basic(secret)
            | Method::BasicUnencoded(secret)
            | Method::Post(secret)
            | Method::LegacyQuery(secret)
            | Method::Header(secret) => Some(secret),
            Method::Assertion { assertion, .. } => Some(assertion.secret()),
            Method::None => None,
        }
    }

    /// What metadata calls the method (RFC 8414 section 2). Empty where it has no name.
    pub(crate) fn registered_names(&self) -> &'static [&'static str] {
        match &self.method {
            Method::Basic(_) | Method::BasicUnencoded(_) => &["client_secret_basic"],
            Method::Post(_) => &["client_secret_post"],
            Method::Assertion { assertion, of_type } if of_type == JWT_BEARER => {
                assertion.registered_names()
            }
            // A certificate cannot be seen from here.
            Method::None => &["none", "tls_client_auth", "self_signed_tls_client_auth"],
            Method::LegacyQuery(_) | Method::Header(_) | Method::Assertion { .. } => &[],
        }
    }

    /// The same secret sent by the first of these methods that can send it.
    pub(crate) fn by_any(&self, methods: &[&str]) -> Option<Self> {
        let (Method::Basic(secret) | Method::BasicUnencoded(secret) | Method::Post(secret)) =
            &self.method
        else {
            return None;
        };
        methods.iter().find_map(|method| match *method {
            "client_secret_basic" => Some(Self::basic(secret.clone())),
            "client_secret_post" => Some(Self::post(secret.clone())),
            _ => None,
        })
    }

    pub(crate) fn is_given_assertion(&self) -> bool {
        matches!(&self.method, Method::Assertion { assertion, .. } if assertion.is_given())
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.method, Method::None)
    }

    /// Whether the client is named in what is sent.
    pub(crate) fn needs_client_id(&self) -> bool {
        !matches!(self.method, Method::Header(_))
    }

    pub(crate) fn apply<'a>(
        &'a self,
        attempt: Attempt<'a>,
        names: &'a Names,
        draft: &mut Draft<'a>,
    ) -> Result<(), TokenError> {
        let client_id = attempt.client_id;
        match &self.method {
            Method::Basic(secret) => {
                let pair = basic::encoded_pair(client_id, attempt.opened.text(secret));
                draft.headers.insert(AUTHORIZATION, basic::header(&pair));
                basic::hide(client_id, attempt.opened.text(secret), &mut draft.redactor);
            }
            Method::BasicUnencoded(secret) => {
                let secret = attempt.opened.text(secret);
                basic::check_unencoded(client_id, secret)?;
                draft.headers.insert(AUTHORIZATION, basic::header(&basic::pair(client_id, secret)));
                basic::hide(client_id, secret, &mut draft.redactor);
            }
            Method::Post(_) | Method::Assertion { .. } if !draft.shape().has_body() => {
                return Err(TokenError::config(
                    "`ClientAuth::post` and `ClientAuth::assertion` need a body to be in, use \
                     another `ClientAuth` or neither `params_in_query` nor `legacy_get`",
                ));
            }
            Method::Post(secret) => {
                let secret = attempt.opened.text(secret);
                draft.param(&names.client_id, client_id);
                draft.param(&names.client_secret, secret);
                basic::hide(client_id, secret, &mut draft.redactor);
            }
            Method::LegacyQuery(secret) => {
                let secret = attempt.opened.text(secret);
                draft.query_param(&names.client_id, client_id);
                draft.query_param(&names.client_secret, secret);
                basic::hide(client_id, secret, &mut draft.redactor);
            }
            Method::Header(value) => {
                let value = attempt.opened.text(value);
                draft.headers.insert(AUTHORIZATION, header(value)?);
                draft.redactor.hide(value);
                draft.redactor.hide(value.split_once(' ').map_or("", |(_, proof)| proof));
            }
            Method::Assertion { assertion, of_type } => {
                draft.param(&names.client_id, client_id);
                draft.param("client_assertion_type", &**of_type);
                assertion.apply("client_assertion", attempt, draft)?;
            }
            Method::None if client_id.is_empty() => {}
            Method::None => draft.param(&names.client_id, client_id),
        }
        Ok(())
    }

    /// Whether [`apply`](Self::apply) adds the client's id as a parameter.
    pub(crate) fn has_client_id_param(&self) -> bool {
        !matches!(self.method, Method::Basic(_) | Method::BasicUnencoded(_) | Method::Header(_))
    }

    /// Whether [`apply`](Self::apply) adds the client's secret as a parameter.
    pub(crate) fn has_client_secret_param(&self) -> bool {
        matches!(self.method, Method::Post(_) | Method::LegacyQuery(_))
    }

    /// What to look at if the issuer does not know the client.
    pub(crate) fn advice(&self) -> &'static str {
        match &self.method {
            Method::Assertion { assertion, .. } => assertion.advice(),
            _ => "check the client id, its secret and how they are sent",
        }
    }

    /// What to look at besides if the issuer may not have understood who the client is.
    pub(crate) fn advice_on_encoding(&self, attempt: Attempt<'_>) -> Option<&'static str> {
        let (secret, advice) = match &self.method {
            Method::Basic(secret) => (
                secret,
                "form-encoding changes the id or the secret, so the issuer may want \
                 `ClientAuth::basic_unencoded` or `ClientAuth::post`",
            ),
            Method::BasicUnencoded(secret) => (
                secret,
                "form-encoding changes the id or the secret, so the issuer may want \
                 `ClientAuth::basic` or `ClientAuth::post`",
            ),
            _ => return None,
        };
        let (client_id, secret) = (attempt.client_id, attempt.opened.text(secret));
        (basic::pair(client_id, secret) != basic::encoded_pair(client_id, secret)).then_some(advice)
    }
}

/// [`ClientAuth::basic`].
impl From<Secret> for ClientAuth {
    fn from(secret: Secret) -> Self {
        Self::basic(secret)
    }
}

/// [`ClientAuth::basic`].
impl From<&str> for ClientAuth {
    fn from(secret: &str) -> Self {
        Self::basic(secret)
    }
}

/// [`ClientAuth::basic`].
impl From<String> for ClientAuth {
    fn from(secret: String) -> Self {
        Self::basic(secret)
    }
}

/// [`ClientAuth::basic`].
impl From<SecretString> for ClientAuth {
    fn from(secret: SecretString) -> Self {
        Self::basic(secret)
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Method::Basic(secret) => write!(f, "ClientAuth::basic({secret:?})"),
            Method::BasicUnencoded(secret) => {
                write!(f, "ClientAuth::basic_unencoded({secret:?})")
            }
            Method::Post(secret) => write!(f, "ClientAuth::post({secret:?})"),
            Method::LegacyQuery(secret) => write!(f, "ClientAuth::legacy_query({secret:?})"),
            Method::Header(value) => write!(f, "ClientAuth::header({value:?})"),
            Method::Assertion { assertion, .. } => {
                write!(f, "ClientAuth::assertion({assertion:?})")
            }
            Method::None => f.write_str("ClientAuth::none()"),
        }
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
