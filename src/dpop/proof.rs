//! A DPoP proof: one JWT for one request.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::{key::DpopKey, target_uri::TargetUri};
use crate::{
    error::TokenError,
    jwt::crypto::{
        provider::digest::{SHA256, digest},
        random_bits,
    },
};

/// The header that has the proof.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What a proof says (RFC 9449 section 4.2).
pub(crate) struct Proof<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: TargetUri<'a>,
    pub(crate) access_token: Option<&'a AccessTokenHash>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) now: SystemTime,
}

/// The `ath` of a token. It takes as long to make as the token is long, so a token has it once.
pub(crate) struct AccessTokenHash(String);

impl AccessTokenHash {
    pub(crate) fn of(access_token: &str) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes())))
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: String,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl Proof<'_> {
    /// The value of the `DPoP` header. It is marked sensitive: within its time it may be worth something to others.
    pub(crate) fn sign(&self, key: &DpopKey) -> Result<HeaderValue, TokenError> {
        let since_epoch = self.now.duration_since(UNIX_EPOCH).map_err(|_| {
            TokenError::config("this machine's clock is before 1970, set it to sign a DPoP proof")
        })?;
        let claims = Claims {
            jti: BASE64_URL_SAFE_NO_PAD.encode(random_bits()),
            htm: self.method.as_str(),
            htu: self.target.to_string(),
            iat: since_epoch.as_secs(),
            ath: self.access_token.map(|hash| &*hash.0),
            nonce: self.nonce,
        };
        let claims = serde_json::to_vec(&claims).expect("a text and a number are JSON");
        let jwt = key.sign(&claims);
        let mut value = HeaderValue::try_from(jwt).expect("base64url and dots fit in a header");
        value.set_sensitive(true);
        Ok(value)
    }
}
