//! Assertions (RFC 7521): signed statements that stand for a client or for a user.

use std::borrow::Cow;

use crate::{
    client_credentials::message::{RequestContext, RequestParts},
    error::TokenError,
    secret::Secret,
};

/// An assertion (RFC 7521): a signed statement, usually a JWT, that stands for a client or for a
/// user.
///
/// Made from a [`Secret`], for one that others sign and that is read again for each token request:
/// the projected token of a Kubernetes service account, a SPIFFE JWT-SVID. With a crypto
/// library, made from a `Jwt`, which is signed here, anew for each token request. See
/// [`ClientAuth::assertion`](crate::ClientAuth::assertion) and
/// [`Grant::jwt_bearer`](crate::Grant::jwt_bearer).
#[derive(Clone, Debug)]
pub struct Assertion {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    External(Secret),
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    Signed(super::jwt::Jwt),
}

impl Assertion {
    pub(crate) fn secret(&self) -> &Secret {
        match &self.source {
            Source::External(secret) => secret,
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            Source::Signed(jwt) => jwt.key(),
        }
    }

    /// Others sign it.
    pub(super) fn is_external(&self) -> bool {
        matches!(self.source, Source::External(_))
    }

    /// What it says of whom. `None` if others sign it, since then only they know.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> Option<serde_json::Value> {
        match &self.source {
            Source::External(_) => None,
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            Source::Signed(jwt) => Some(jwt.identity()),
        }
    }

    /// Sends it as this parameter.
    ///
    /// Whose assertion it is and for whom is not looked at: that is the issuer's matter, and `iss`
    /// and `sub` of a workload's token are not the client's id.
    pub(crate) fn apply<'a>(
        &'a self,
        name: &'static str,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        let secret = context.secrets.text(self.secret());
        let text = match &self.source {
            Source::External(_) => check_syntax(secret)?,
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            Source::Signed(jwt) => jwt.sign(context)?.into(),
        };
        parts.redactor.hide(secret);
        parts.secret_param(name, text);
        Ok(())
    }

    /// What metadata calls a client's authentication by it.
    pub(super) fn registered_names(&self) -> &'static [&'static str] {
        match &self.source {
            Source::External(_) => &["private_key_jwt", "client_secret_jwt"],
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            Source::Signed(jwt) => jwt.registered_names(),
        }
    }

    /// What to look at if the issuer does not like it.
    pub(crate) fn hint(&self) -> &'static str {
        match &self.source {
            Source::External(_) => {
                "check that the issuer trusts who signs the assertion, and for which `aud` and `sub`"
            }
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            Source::Signed(_) => {
                "check the key that the issuer has of this client, `kid`, `aud`, \
                 and the clock of this machine"
            }
        }
    }
}

fn check_syntax(text: &str) -> Result<Cow<'_, str>, TokenError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::config(
            "an assertion is empty or has a space, a control or a non-ASCII character, \
             check that its source holds the bare assertion",
        ));
    }
    Ok(text.into())
}

impl From<Secret> for Assertion {
    fn from(assertion: Secret) -> Self {
        Self { source: Source::External(assertion) }
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
impl From<super::jwt::Jwt> for Assertion {
    fn from(jwt: super::jwt::Jwt) -> Self {
        Self { source: Source::Signed(jwt) }
    }
}
