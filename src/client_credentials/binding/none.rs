//! No token is bound.

use std::time::SystemTime;

use http::{HeaderMap, Request};

use crate::{error::TokenError, secret::Redactor, token::Token};

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum TokenBinding {}

/// There is no such request.
pub(crate) enum SentProof {}

impl TokenBinding {
    pub(crate) fn prove<B>(
        &self,
        _: &mut Request<B>,
        _: &mut Redactor,
        _: SystemTime,
    ) -> Result<SentProof, TokenError> {
        match *self {}
    }

    pub(crate) fn token(&self, _: &str) -> Result<Token, TokenError> {
        match *self {}
    }

    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> serde_json::Value {
        match *self {}
    }

    pub(crate) fn check_bearer(&self) -> Result<(), TokenError> {
        match *self {}
    }
}

impl SentProof {
    pub(crate) fn note_nonce(&self, _: &HeaderMap) -> bool {
        match *self {}
    }
}
