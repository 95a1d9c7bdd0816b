//! The proof in front of an API, and what the API's response has against it.

use std::{fmt, sync::Arc, time::SystemTime};

use http::{HeaderMap, Method, StatusCode, Uri};

use super::{AccessTokenHash, DPOP, DpopKey, Nonce, Proof, TargetUri};
use crate::{
    binding::{Binding, Objection, ProofCheck, Proven},
    error::TokenError,
    http::{Origin, dpop_error, is_about_the_token},
};

/// The key that a token is bound to, and the token's hash.
#[derive(Clone)]
pub(crate) struct KeyBinding {
    pub(crate) key: DpopKey,
    pub(crate) hash: Arc<AccessTokenHash>,
}

struct SentProof {
    key: DpopKey,
    origin: Origin,
    nonce: Option<Nonce>,
}

impl Binding for KeyBinding {
    /// # Errors
    ///
    /// Neither `uri` nor `base` names a host, or the clock is before 1970.
    fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        base: Option<&Origin>,
    ) -> Result<Proven, TokenError> {
        let origin = Origin::of(uri).or_else(|| base.cloned()).ok_or_else(no_host)?;
        let nonce = self.key.api_nonces().of(&origin);
        let proof = Proof {
            method,
            target: TargetUri { origin: &origin, path: uri.path() },
            access_token: Some(&self.hash),
            nonce: nonce.as_deref(),
            now: SystemTime::now(),
        };
        Ok(Proven {
            header: (DPOP, proof.sign(&self.key)?),
            check: Box::new(SentProof { key: self.key.clone(), origin, nonce }),
        })
    }
}

impl ProofCheck for SentProof {
    /// Remembers the nonce that the response gives, too.
    ///
    /// A 401 can have an objection, and so can what else the layer takes for a rejection, such as a status of
    /// gRPC.
    fn objection(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        is_rejection: &dyn Fn() -> bool,
    ) -> Option<Objection> {
        let given = self.key.api_nonces().note(&self.origin, headers);
        if status != StatusCode::UNAUTHORIZED && !is_rejection() {
            return None;
        }
        match &*dpop_error(headers)? {
            "use_dpop_nonce" if given.is_some() && given != self.nonce => Some(Objection::Repeat),
            "use_dpop_nonce" | "invalid_dpop_proof" => Some(Objection::Other),
            error => (!is_about_the_token(error)).then_some(Objection::Other),
        }
    }
}

#[cold]
fn no_host() -> TokenError {
    TokenError::config(
        "a DPoP proof names the URI that it is for, and the request's URI has no host: give \
         the request one, or name the API's one origin with `only_for`",
    )
}

impl fmt::Debug for KeyBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}
