//! The proof that an attempt was sent with, and what its response has against it.

use std::time::SystemTime;

use http::{HeaderMap, Request, StatusCode, Uri};

use super::{DPOP, Nonce, Proof, TargetUri, origin};
use crate::{
    challenge::dpop_error, error::TokenError, rejection::is_about_the_token, token::Token,
};

pub(crate) struct SentProof {
    token: Token,
    origin: String,
    nonce: Option<Nonce>,
}

/// What a response has against the proof, and not against the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// The server wants a nonce that this proof did not have, and that is known now.
    Nonce,
    /// Something that another token does not mend.
    Other,
}

impl SentProof {
    /// Writes a proof into the request, if the token is bound. `base` has the origin of a request whose
    /// URI names none.
    ///
    /// # Errors
    ///
    /// Neither the URI nor `base` names a host, or the clock is before 1970.
    #[inline]
    pub(crate) fn write<B>(
        token: &Token,
        request: &mut Request<B>,
        base: Option<&Uri>,
    ) -> Result<Option<Box<Self>>, TokenError> {
        let Some(binding) = token.binding() else { return Ok(None) };
        let target = TargetUri::of(request.uri())
            .or_else(|| Some(TargetUri::path_of(request.uri()).at(TargetUri::of(base?)?)))
            .ok_or_else(no_host)?;
        let origin = origin(&target);
        let nonce = binding.key.api_nonces().of(&origin);
        let proof = Proof {
            method: request.method(),
            target,
            access_token: Some(&binding.hash),
            nonce: nonce.as_deref(),
            now: SystemTime::now(),
        };
        let proof = proof.sign(&binding.key)?;
        request
            .headers_mut()
            .try_insert(DPOP, proof)
            .map_err(|_| TokenError::too_many_headers())?;
        Ok(Some(Box::new(Self { token: token.clone(), origin, nonce })))
    }

    /// What the response has against the proof. Remembers the nonce that it gives.
    ///
    /// A 401 has one, and what else the layer takes for a rejection, such as a status of gRPC.
    pub(crate) fn objection(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        is_rejection: impl FnOnce() -> bool,
    ) -> Option<Objection> {
        let given = self.token.binding()?.key.api_nonces().note(&self.origin, headers);
        if status != StatusCode::UNAUTHORIZED && !is_rejection() {
            return None;
        }
        match &*dpop_error(headers)? {
            "use_dpop_nonce" if given.is_some() && given != self.nonce => Some(Objection::Nonce),
            "use_dpop_nonce" | "invalid_dpop_proof" => Some(Objection::Other),
            error => (!is_about_the_token(error)).then_some(Objection::Other),
        }
    }

    pub(crate) fn into_token(self) -> Token {
        self.token
    }
}

#[cold]
fn no_host() -> TokenError {
    TokenError::config(
        "a DPoP proof names the URI that it is for, and the request's URI has no host: give \
         the request one, or name the API's one origin with `only_for`",
    )
}
