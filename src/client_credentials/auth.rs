use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

use super::{
    draft::{Draft, Shape},
    redactor::Redactor,
};
use crate::error::TokenError;

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
    Basic(SecretString),
    BasicUnencoded(SecretString),
    Post(SecretString),
    LegacyQuery(SecretString),
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
    pub fn basic(secret: impl Into<SecretString>) -> Self {
        Self { method: Method::Basic(secret.into()) }
    }

    /// As [`basic`](Self::basic), but with id and secret as they are (RFC 7617 section 2), in
    /// UTF-8. This is what `curl -u` sends, and what servers expect that do not decode: SAP
    /// XSUAA and Sabre among others.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an id with a colon, and control
    /// characters in either.
    pub fn basic_unencoded(secret: impl Into<SecretString>) -> Self {
        Self { method: Method::BasicUnencoded(secret.into()) }
    }

    /// `client_secret_post`: `client_id` and `client_secret` in the form (RFC 6749 section
    /// 2.3.1). An empty secret is sent as such.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with
    /// [`params_in_query`](crate::ClientCredentialsBuilder::params_in_query) and
    /// [`legacy_get`](crate::ClientCredentialsBuilder::legacy_get), which leave no form.
    pub fn post(secret: impl Into<SecretString>) -> Self {
        Self { method: Method::Post(secret.into()) }
    }

    /// **Legacy:** `client_id` and `client_secret` in the query of the URL, which RFC 6749
    /// section 2.3.1 forbids.
    ///
    /// URLs end up in the logs of every proxy and server on the way, and the secret with them.
    /// This crate keeps them out of its own errors, but the HTTP client you hand in may log them.
    /// Use it for issuers that take nothing else, and treat the secret as known.
    pub fn legacy_query(secret: impl Into<SecretString>) -> Self {
        Self { method: Method::LegacyQuery(secret.into()) }
    }

    /// No secret: only `client_id` is sent, as a parameter.
    ///
    /// For clients that authenticate with a TLS certificate (RFC 8705 section 2), which is then
    /// the matter of the HTTP client, and for public clients of the password grant. A public
    /// client must not use the client credentials grant (RFC 6749 section 4.4); this is not
    /// checked, since a certificate cannot be seen from here.
    pub fn none() -> Self {
        Self { method: Method::None }
    }

    pub(super) fn check(&self, client_id: &str, shape: Shape) -> Result<(), TokenError> {
        match &self.method {
            Method::BasicUnencoded(secret) => {
                if client_id.contains(':') {
                    return Err(TokenError::config(
                        "a client id with a colon cannot be sent as unencoded Basic, \
                         use `ClientAuth::basic` or `ClientAuth::post`",
                    ));
                }
                if [client_id, secret.expose_secret()].concat().contains(char::is_control) {
                    return Err(TokenError::config(
                        "a client id or secret with control characters cannot be sent as \
                         unencoded Basic, use `ClientAuth::basic` or `ClientAuth::post`",
                    ));
                }
                Ok(())
            }
            Method::Post(_) if shape != Shape::Form => Err(TokenError::config(
                "`ClientAuth::post` needs a form to be in, use another `ClientAuth` \
                 or neither `params_in_query` nor `legacy_get`",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn apply<'a>(&'a self, client_id: &'a str, draft: &mut Draft<'a>) {
        match &self.method {
            Method::Basic(secret) => {
                let pair = encoded_pair(client_id, secret.expose_secret());
                draft.headers.insert(AUTHORIZATION, basic(&pair));
            }
            Method::BasicUnencoded(secret) => {
                let pair = pair(client_id, secret.expose_secret());
                draft.headers.insert(AUTHORIZATION, basic(&pair));
            }
            Method::Post(secret) => {
                draft.param("client_id", client_id);
                draft.param("client_secret", secret.expose_secret());
            }
            Method::LegacyQuery(secret) => {
                draft.query_param("client_id", client_id);
                draft.query_param("client_secret", secret.expose_secret());
            }
            Method::None => draft.param("client_id", client_id),
        }
    }

    pub(super) fn hide(&self, client_id: &str, redactor: &mut Redactor) {
        let Some(secret) = self.secret() else { return };
        redactor.hide(secret);
        redactor.hide(&BASE64_STANDARD.encode(pair(client_id, secret)));
        redactor.hide(&BASE64_STANDARD.encode(encoded_pair(client_id, secret)));
    }

    /// What to try at a server that reads the header otherwise, where that makes a difference.
    pub(super) fn alternatives(&self, client_id: &str) -> Option<&'static str> {
        let (secret, alternatives) = match &self.method {
            Method::Basic(secret) => {
                (secret, "`ClientAuth::basic_unencoded` or `ClientAuth::post`")
            }
            Method::BasicUnencoded(secret) => (secret, "`ClientAuth::basic` or `ClientAuth::post`"),
            Method::Post(_) | Method::LegacyQuery(_) | Method::None => return None,
        };
        let secret = secret.expose_secret();
        (pair(client_id, secret) != encoded_pair(client_id, secret)).then_some(alternatives)
    }

    fn secret(&self) -> Option<&str> {
        match &self.method {
            Method::Basic(secret)
            | Method::BasicUnencoded(secret)
            | Method::Post(secret)
            | Method::LegacyQuery(secret) => Some(secret.expose_secret()),
            Method::None => None,
        }
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
        f.write_str(match &self.method {
            Method::Basic(_) => "ClientAuth::basic([redacted])",
            Method::BasicUnencoded(_) => "ClientAuth::basic_unencoded([redacted])",
            Method::Post(_) => "ClientAuth::post([redacted])",
            Method::LegacyQuery(_) => "ClientAuth::legacy_query([redacted])",
            Method::None => "ClientAuth::none()",
        })
    }
}

fn basic(pair: &str) -> HeaderValue {
    let value = ["Basic ", &BASE64_STANDARD.encode(pair)].concat();
    let mut value = HeaderValue::try_from(value).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

fn pair(client_id: &str, secret: &str) -> String {
    [client_id, ":", secret].concat()
}

fn encoded_pair(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        encoded.replace('+', "%20")
    };
    pair(&encode(client_id), &encode(secret))
}
