//! `TokenBinding`: what the tokens are to be bound to.

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;

use crate::{error::TokenError, secret::Redactor, token::Token};

/// What the client wants its tokens to be bound to.
pub(crate) trait TokenBinding: fmt::Debug + Send + Sync {
    /// Writes a proof into the token request. Each attempt has one of its own.
    fn prove(
        &self,
        request: &mut Request<Full<Bytes>>,
        redactor: &mut Redactor,
        now: SystemTime,
    ) -> Result<SentProof, TokenError>;

    /// A token that the issuer has bound.
    fn token(&self, access_token: &str) -> Result<Token, TokenError>;

    /// Whether one that is not bound will do.
    fn check_bearer(&self) -> Result<(), TokenError>;

    /// Tells the tokens that are bound to this from others, which may not be bound at all.
    #[cfg(feature = "shared")]
    fn identity(&self) -> serde_json::Value;
}

/// Remembers the nonce that the response to a request with a proof gives. Returns whether it is another than the
/// one sent.
pub(crate) type SentProof = Box<dyn FnOnce(&HeaderMap) -> bool + Send>;
