//! The public choice of a client authentication method.

use std::fmt;

use secrecy::SecretString;

use super::{
    assertion::Assertion,
    method::{AuthMethod, JWT_BEARER, ParameterNames},
};
use crate::{
    client_credentials::message::{RequestContext, RequestParts},
    error::TokenError,
    secret::Secret,
};

/// How the client authenticates at the token endpoint.
///
/// Exactly one method is used in a request (RFC 6749 section 2.3), and none is ever probed: a
/// wrong guess would count as a failed login. A bare secret, such as `"s3cr3t"`, stands for
/// [`basic`](Self::basic).
///
/// `Debug` shows the method and not the secret.
#[derive(Clone)]
pub struct ClientAuth {
    method: AuthMethod,
    names: ParameterNames,
    client_id_in_body: bool,
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
        Self::by(AuthMethod::Basic(secret.into()))
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
        Self::by(AuthMethod::BasicUnencoded(secret.into()))
    }

    /// `client_secret_post`: `client_id` and `client_secret` in the form (RFC 6749 section
    /// 2.3.1), or in the JSON of [`Placement::Json`](crate::Placement::Json). An empty
    /// secret is sent as such.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with
    /// [`Placement::Query`](crate::Placement::Query) and
    /// [`Placement::LegacyGet`](crate::Placement::LegacyGet), which leave no form.
    pub fn post(secret: impl Into<Secret>) -> Self {
        Self::by(AuthMethod::Post(secret.into()))
    }

    /// **Legacy:** `client_id` and `client_secret` in the query of the URL, which RFC 6749
    /// section 2.3.1 forbids.
    ///
    /// URLs end up in the logs of every proxy and server on the way, and the secret with them.
    /// This crate keeps them out of its own errors, but the HTTP client you hand in may log them.
    /// Use it for issuers that take nothing else, and treat the secret as known.
    pub fn legacy_query(secret: impl Into<Secret>) -> Self {
        Self::by(AuthMethod::LegacyQuery(secret.into()))
    }

    /// Another `Authorization` header: its whole value, scheme and all. For issuers with a scheme
    /// of their own, such as Workday's `ID <base64 of id:secret>`, or that want an API key as
    /// `Bearer`, as Stripe does.
    ///
    /// The client's id is not sent along, and may be empty, unless
    /// [`client_id_in_body`](Self::client_id_in_body) asks for it.
    ///
    /// # Errors
    ///
    /// A value with control or non-ASCII characters, as for
    /// [`basic_unencoded`](Self::basic_unencoded).
    pub fn header(value: impl Into<Secret>) -> Self {
        Self::by(AuthMethod::Header(value.into()))
    }

    /// A signed statement in place of a secret (RFC 7523 section 2.2): `client_assertion` and
    /// `client_assertion_type`, with `client_id` beside them.
    ///
    /// Made here, it is `private_key_jwt` or `client_secret_jwt`, with the feature `ring` or
    /// `aws-lc-rs` and a `Jwt`. Made by others, it comes from a [`Secret`], here a token that Kubernetes replaces
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
    /// [`Placement::Query`](crate::Placement::Query) and
    /// [`Placement::LegacyGet`](crate::Placement::LegacyGet). An assertion with a space,
    /// control or non-ASCII characters is refused before it is sent.
    pub fn assertion(assertion: impl Into<Assertion>) -> Self {
        let of_type = JWT_BEARER.to_owned();
        Self::by(AuthMethod::Assertion { assertion: assertion.into(), of_type })
    }

    /// As [`assertion`](Self::assertion), with another `client_assertion_type` than
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, as SPIFFE's has it.
    pub fn assertion_of_type(
        assertion_type: impl Into<String>,
        assertion: impl Into<Assertion>,
    ) -> Self {
        let of_type = assertion_type.into();
        Self::by(AuthMethod::Assertion { assertion: assertion.into(), of_type })
    }

    /// No secret: only `client_id` is sent, as a parameter.
    ///
    /// For clients that authenticate with a TLS certificate (RFC 8705 section 2), which is then
    /// the matter of the HTTP client, and for public clients of the password grant. A public
    /// client must not use the client credentials grant (RFC 6749 section 4.4); this is not
    /// checked, since a certificate cannot be seen from here.
    ///
    /// With [`Grant::jwt_bearer`](crate::Grant::jwt_bearer), where the
    /// assertion says it all, the client's id may be empty and is then not sent (RFC 7523 section
    /// 2.1).
    pub fn none() -> Self {
        Self::by(AuthMethod::None)
    }

    /// Sends `client_id` as a parameter also where the method has it in a header or not at all (RFC 6749 section
    /// 3.2.1). By default it is sent once.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it with an empty id.
    pub fn client_id_in_body(mut self) -> Self {
        self.client_id_in_body = true;
        self
    }

    /// Another name for the parameter `client_id`, such as WeChat's `appid`.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an empty name, one that is sent anyway, and one for
    /// a parameter that the method does not send.
    pub fn client_id_name(mut self, name: impl Into<String>) -> Self {
        self.names.client_id = name.into();
        self
    }

    /// Another name for the parameter `client_secret`, such as WeChat's `secret`.
    ///
    /// # Errors
    ///
    /// As for [`client_id_name`](Self::client_id_name).
    pub fn client_secret_name(mut self, name: impl Into<String>) -> Self {
        self.names.client_secret = name.into();
        self
    }

    fn by(method: AuthMethod) -> Self {
        Self { method, names: ParameterNames::default(), client_id_in_body: false }
    }

    pub(crate) fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// Whether the issuer's metadata lists it among these methods, or has no name for it.
    pub(crate) fn is_any_of(&self, methods: &[&str]) -> bool {
        self.method.is_any_of(methods)
    }

    /// The same secret sent by the first of these methods that can send it.
    pub(crate) fn by_first_of(&self, methods: &[&str]) -> Option<Self> {
        self.method.by_first_of(methods).map(|method| Self { method, ..self.clone() })
    }

    pub(crate) fn has_client_id_in_body(&self) -> bool {
        self.client_id_in_body
    }

    pub(crate) fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        if self.names.client_id.is_empty() || self.names.client_secret.is_empty() {
            return Err(TokenError::config(
                "`client_id_name` or `client_secret_name` is empty, give a name or leave it out",
            ));
        }
        self.method.apply(context, &self.names, parts)?;
        if self.client_id_in_body && !self.method.has_client_id_param() {
            parts.param(&self.names.client_id, context.client_id);
        }
        Ok(())
    }

    /// Finds names for parameters that are not sent.
    pub(crate) fn check_names(&self) -> Result<(), TokenError> {
        let usual = ParameterNames::default();
        let has_id = self.method.has_client_id_param() || self.client_id_in_body;
        if !has_id && self.names.client_id != usual.client_id {
            return Err(TokenError::config(
                "`client_id_name` names a parameter that this `ClientAuth` does not send, \
                 leave it out or call `client_id_in_body`",
            ));
        }
        if !self.method.has_client_secret_param() && self.names.client_secret != usual.client_secret
        {
            return Err(TokenError::config(
                "`client_secret_name` names a parameter that this `ClientAuth` does not send, \
                 leave it out or choose `ClientAuth::post`",
            ));
        }
        Ok(())
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
            AuthMethod::Basic(secret) => write!(f, "ClientAuth::basic({secret:?})"),
            AuthMethod::BasicUnencoded(secret) => {
                write!(f, "ClientAuth::basic_unencoded({secret:?})")
            }
            AuthMethod::Post(secret) => write!(f, "ClientAuth::post({secret:?})"),
            AuthMethod::LegacyQuery(secret) => write!(f, "ClientAuth::legacy_query({secret:?})"),
            AuthMethod::Header(value) => write!(f, "ClientAuth::header({value:?})"),
            AuthMethod::Assertion { assertion, .. } => {
                write!(f, "ClientAuth::assertion({assertion:?})")
            }
            AuthMethod::None => f.write_str("ClientAuth::none()"),
        }
    }
}
