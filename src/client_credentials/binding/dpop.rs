//! Requests for tokens that are bound to a key (RFC 9449 section 5).

use std::time::SystemTime;

use http::{HeaderMap, Request};

use crate::{
    dpop::{DPOP, DpopKey, Nonce, Proof, TargetUri},
    error::{Kind, TokenError},
    http::Origin,
    secret::Redactor,
    token::Token,
};

/// The key that the client wants its tokens to be bound to.
#[derive(Clone, Debug)]
pub(crate) struct TokenBinding {
    pub(crate) key: DpopKey,
    /// A token that is not bound is better than none.
    pub(crate) accept_bearer: bool,
}

/// What a request with a proof leaves behind.
pub(crate) struct SentProof {
    key: DpopKey,
    origin: Origin,
    nonce: Option<Nonce>,
}

impl TokenBinding {
    /// Writes a proof into the token request. Each attempt has one of its own.
    pub(crate) fn prove<B>(
        &self,
        request: &mut Request<B>,
        redactor: &mut Redactor,
        now: SystemTime,
    ) -> Result<SentProof, TokenError> {
        let origin = Origin::of(request.uri()).expect("a token endpoint has a host");
        let nonce = self.key.issuer_nonces().of(&origin);
        let proof = Proof {
            method: request.method(),
            target: TargetUri { origin: &origin, path: request.uri().path() },
            access_token: None,
            nonce: nonce.as_deref(),
            now,
        };
        let proof = proof.sign(&self.key)?;
        redactor.hide(proof.to_str().unwrap_or_default());
        request.headers_mut().insert(DPOP, proof);
        Ok(SentProof { key: self.key.clone(), origin, nonce })
    }

    pub(crate) fn token(&self, access_token: &str) -> Result<Token, TokenError> {
        Token::dpop(access_token, &self.key)
    }

    /// Tells the tokens for this key from others, which may not be bound at all.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> serde_json::Value {
        serde_json::json!({ "jkt": self.key.thumbprint(), "accept_bearer": self.accept_bearer })
    }

    pub(crate) fn check_bearer(&self) -> Result<(), TokenError> {
        if self.accept_bearer {
            return Ok(());
        }
        let message = "the issuer gave a bearer token where one bound by DPoP was asked for, switch DPoP on \
                       in the client's registration, or call `accept_bearer`";
        Err(TokenError::new(Kind::UnsupportedTokenType, message))
    }
}

impl SentProof {
    /// Remembers the nonce that the response gives. Returns whether it is another than the one sent.
    pub(crate) fn note_nonce(&self, headers: &HeaderMap) -> bool {
        let given = self.key.issuer_nonces().note(&self.origin, headers);
        given.is_some() && given != self.nonce
    }
}
