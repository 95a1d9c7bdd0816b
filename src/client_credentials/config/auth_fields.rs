//! The configuration fields that say how the client authenticates.

use std::mem::take;

use super::{
    field_error::{invalid, missing, unused},
    secret_source::text_or_file,
    value::Value,
};
use crate::{
    client_credentials::auth::{Assertion, ClientAuth},
    error::TokenError,
    secret::Secret,
};

/// The fields. Each one that is used is taken out, so that the rest is known to be of no use.
pub(super) struct AuthFields {
    pub(super) method: Value,
    pub(super) client_secret: Value,
    pub(super) client_secret_file: Value,
    pub(super) authorization: Value,
    pub(super) authorization_file: Value,
    pub(super) assertion_file: Value,
    pub(super) client_assertion_type: Value,
    pub(super) private_key: Value,
    pub(super) private_key_file: Value,
    pub(super) alg: Value,
    pub(super) kid: Value,
    pub(super) audience: Value,
    pub(super) lifetime: Value,
    pub(super) claims: Value,
}

impl AuthFields {
    /// The method, by the name that RFC 7591 section 2 has for it, if it has one.
    pub(super) fn auth(&mut self) -> Result<ClientAuth, TokenError> {
        let field = "token_endpoint_auth_method";
        let method = take(&mut self.method).plain(field)?;
        Ok(match method.as_deref().unwrap_or("client_secret_basic") {
            "client_secret_basic" => ClientAuth::basic(self.client_secret()?),
            "client_secret_post" => ClientAuth::post(self.client_secret()?),
            "basic_unencoded" => ClientAuth::basic_unencoded(self.client_secret()?),
            "legacy_query" => ClientAuth::legacy_query(self.client_secret()?),
            "header" => ClientAuth::header(
                text_or_file(
                    ("authorization", take(&mut self.authorization)),
                    ("authorization_file", take(&mut self.authorization_file)),
                )?
                .ok_or_else(|| missing("authorization` or `authorization_file"))?,
            ),
            "client_secret_jwt" => {
                let secret = self.client_secret()?;
                ClientAuth::assertion(self.jwt(secret, Some("HS256"))?)
            }
            "private_key_jwt" => {
                let assertion = self.assertion()?;
                let of_type = take(&mut self.client_assertion_type);
                match of_type.plain("client_assertion_type")? {
                    Some(of_type) => ClientAuth::assertion_of_type(of_type, assertion),
                    None => ClientAuth::assertion(assertion),
                }
            }
            "none" | "tls_client_auth" | "self_signed_tls_client_auth" => ClientAuth::none(),
            _ => {
                let why = "is none of `client_secret_basic`, `client_secret_post`, \
                           `client_secret_jwt`, `private_key_jwt`, `none`, `tls_client_auth`, \
                           `self_signed_tls_client_auth`, `basic_unencoded`, `legacy_query` and \
                           `header`, write one";
                return Err(invalid(field, why));
            }
        })
    }

    /// An assertion that others sign, or one that is signed here.
    pub(super) fn assertion(&mut self) -> Result<Assertion, TokenError> {
        let given = take(&mut self.assertion_file).plain("assertion_file")?;
        if let Some(path) = given {
            return Ok(Secret::file(path).into());
        }
        let key = text_or_file(
            ("private_key", take(&mut self.private_key)),
            ("private_key_file", take(&mut self.private_key_file)),
        )?;
        let key = key.ok_or_else(|| missing("private_key_file` or `assertion_file"))?;
        self.jwt(key, None)
    }

    /// The first that is left over.
    pub(super) fn check_used_up(&self) -> Result<(), TokenError> {
        let left = [
            ("client_secret", &self.client_secret),
            ("client_secret_file", &self.client_secret_file),
            ("authorization", &self.authorization),
            ("authorization_file", &self.authorization_file),
            ("assertion_file", &self.assertion_file),
            ("client_assertion_type", &self.client_assertion_type),
            ("private_key", &self.private_key),
            ("private_key_file", &self.private_key_file),
            ("alg", &self.alg),
            ("kid", &self.kid),
            ("assertion_audience", &self.audience),
            ("assertion_lifetime", &self.lifetime),
            ("assertion_claims", &self.claims),
        ];
        match left.into_iter().find(|(_, value)| !value.is_absent()) {
            Some((field, _)) => {
                Err(unused(field, "with this `token_endpoint_auth_method` and `grant_type`"))
            }
            None => Ok(()),
        }
    }

    fn client_secret(&mut self) -> Result<Secret, TokenError> {
        text_or_file(
            ("client_secret", take(&mut self.client_secret)),
            ("client_secret_file", take(&mut self.client_secret_file)),
        )?
        .ok_or_else(|| missing("client_secret` or `client_secret_file"))
    }

    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    fn jwt(&mut self, key: Secret, alg: Option<&str>) -> Result<Assertion, TokenError> {
        use std::time::Duration;

        use secrecy::ExposeSecret;

        use crate::{client_credentials::auth::Jwt, jwt::JwtAlgorithm};

        let given = take(&mut self.alg).plain("alg")?;
        let alg = given.as_deref().or(alg).ok_or_else(|| missing("alg"))?;
        let alg = JwtAlgorithm::named(alg).ok_or_else(|| {
            invalid("alg", "is no algorithm that is known here, write one as `ES256`")
        })?;
        let mut jwt = Jwt::new(alg, key);
        if let Some(kid) = take(&mut self.kid).plain("kid")? {
            jwt = jwt.kid(kid);
        }
        if let Some(seconds) = take(&mut self.lifetime).number("assertion_lifetime")? {
            jwt = jwt.lifetime(Duration::from_secs(seconds));
        }
        for (name, value) in take(&mut self.claims).table("assertion_claims")? {
            jwt = jwt.claim(name, value.expose_secret());
        }
        if let Some(audience) = take(&mut self.audience).plain("assertion_audience")? {
            jwt = jwt.audience(audience);
        }
        Ok(jwt.into())
    }

    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    fn jwt(&mut self, _: Secret, _: Option<&str>) -> Result<Assertion, TokenError> {
        let why =
            "is signed here only with a crypto library, enable the feature `ring` or `aws-lc-rs`";
        Err(invalid("token_endpoint_auth_method", why))
    }
}
