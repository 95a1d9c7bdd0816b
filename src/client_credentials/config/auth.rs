//! The fields that say who the client is and what entitles it to a token.

use super::{
    fields::{Fields, missing},
    value::{Value, invalid},
};
use crate::{
    client_credentials::{
        auth::{Assertion, ClientAuth},
        request::Grant,
    },
    error::TokenError,
    secret::Secret,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How the client authenticates, by the name that RFC 7591 section 2 has for it, if it has one.
pub(super) fn client_auth(fields: &mut Fields) -> Result<ClientAuth, TokenError> {
    let field = "token_endpoint_auth_method";
    let method = fields.take(field, Value::plain)?;
    let mut auth = match method.as_deref().unwrap_or("client_secret_basic") {
        "client_secret_basic" => ClientAuth::basic(client_secret(fields)?),
        "client_secret_post" => ClientAuth::post(client_secret(fields)?),
        "basic_unencoded" => ClientAuth::basic_unencoded(client_secret(fields)?),
        "legacy_query" => ClientAuth::legacy_query(client_secret(fields)?),
        "header" => {
            let value = fields.take_secret("authorization", "authorization_file")?;
            ClientAuth::header(
                value.ok_or_else(|| missing("authorization` or `authorization_file"))?,
            )
        }
        "client_secret_jwt" => {
            let secret = client_secret(fields)?;
            ClientAuth::assertion(jwt(fields, secret, Some("HS256"))?)
        }
        "private_key_jwt" => {
            let assertion = assertion(fields)?;
            match fields.take("client_assertion_type", Value::plain)? {
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
    };
    if fields.take("client_id_in_body", Value::flag)? == Some(true) {
        auth = auth.client_id_in_body();
    }
    if let Some(name) = fields.take("client_id_name", Value::plain)? {
        auth = auth.client_id_name(name);
    }
    if let Some(name) = fields.take("client_secret_name", Value::plain)? {
        auth = auth.client_secret_name(name);
    }
    Ok(auth)
}

pub(super) fn grant(fields: &mut Fields) -> Result<Grant, TokenError> {
    let grant_type = fields.take("grant_type", Value::plain)?;
    Ok(match grant_type.as_deref() {
        None => Grant::client_credentials(),
        Some("") => Grant::without_type(),
        Some("password") => {
            let username = fields.take("username", Value::plain)?;
            let username = username.ok_or_else(|| missing("username"))?;
            let password = fields.take_secret("password", "password_file")?;
            let password = password.ok_or_else(|| missing("password` or `password_file"))?;
            Grant::legacy_password(username, password)
        }
        Some(JWT_BEARER) => Grant::jwt_bearer(assertion(fields)?),
        Some(other) => Grant::of_type(other),
    })
}

/// An assertion that others sign, or one that is signed here.
fn assertion(fields: &mut Fields) -> Result<Assertion, TokenError> {
    if let Some(path) = fields.take("assertion_file", Value::plain)? {
        return Ok(Secret::file(path).into());
    }
    let key = fields.take_secret("private_key", "private_key_file")?;
    let key = key.ok_or_else(|| missing("private_key_file` or `assertion_file"))?;
    jwt(fields, key, None)
}

fn client_secret(fields: &mut Fields) -> Result<Secret, TokenError> {
    let secret = fields.take_secret("client_secret", "client_secret_file")?;
    secret.ok_or_else(|| missing("client_secret` or `client_secret_file"))
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn jwt(fields: &mut Fields, key: Secret, alg: Option<&str>) -> Result<Assertion, TokenError> {
    use std::time::Duration;

    use secrecy::ExposeSecret;

    use crate::{client_credentials::auth::Jwt, jwt::JwtAlgorithm};

    let given = fields.take("alg", Value::plain)?;
    let alg = given.as_deref().or(alg).ok_or_else(|| missing("alg"))?;
    let alg = JwtAlgorithm::named(alg).ok_or_else(|| {
        invalid("alg", "is no algorithm that is known here, write one as `ES256`")
    })?;
    let mut jwt = Jwt::new(alg, key);
    if let Some(kid) = fields.take("kid", Value::plain)? {
        jwt = jwt.kid(kid);
    }
    if let Some(seconds) = fields.take("assertion_lifetime", Value::number)? {
        jwt = jwt.lifetime(Duration::from_secs(seconds));
    }
    for (name, value) in fields.take("assertion_claims", Value::table)? {
        jwt = jwt.claim(name, value.expose_secret());
    }
    if let Some(audience) = fields.take("assertion_audience", Value::plain)? {
        jwt = jwt.audience(audience);
    }
    Ok(jwt.into())
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn jwt(_: &mut Fields, _: Secret, _: Option<&str>) -> Result<Assertion, TokenError> {
    let why = "is signed here only with a crypto library, enable the feature `ring` or `aws-lc-rs`";
    Err(invalid("token_endpoint_auth_method", why))
}
