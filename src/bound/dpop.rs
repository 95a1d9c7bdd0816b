//! Some tokens are bound, and those that are sent know it.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, Request, StatusCode, Uri};

use super::Objection;
use crate::{
    challenge::dpop_error,
    dpop::{Binding, Nonce, Proof, TargetUri, origin},
    error::TokenError,
    rejection::is_about_the_token,
    token::Token,
};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What a request with a bound token leaves behind that the inner service has.
pub(crate) struct Bound {
    sent: Box<Sent>,
}

struct Sent {
    token: Token,
    origin: String,
    nonce: Option<Nonce>,
}

impl Bound {
    /// Writes a proof into the request, if the token is bound. `base` has the origin of a request whose
    /// URI names none.
    #[inline]
    pub(crate) fn prove<B>(
        token: &Token,
        request: &mut Request<B>,
        base: Option<&Uri>,
    ) -> Result<Option<Self>, TokenError> {
        match token.binding() {
            None => Ok(None),
            Some(binding) => Self::sign(token, binding, request, base).map(Some),
        }
    }

    #[inline(never)]
    fn sign<B>(
        token: &Token,
        binding: &Binding,
        request: &mut Request<B>,
        base: Option<&Uri>,
    ) -> Result<Self, TokenError> {
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
        request.headers_mut().insert(DPOP, proof);
        Ok(Self { sent: Box::new(Sent { token: token.clone(), origin, nonce }) })
    }

    pub(crate) fn token(&self) -> Token {
        self.sent.token.clone()
    }

    pub(crate) fn is_needed_for(token: &Token) -> bool {
        token.binding().is_some()
    }

    /// What the response has against the proof. Remembers the nonce that it gives.
    pub(crate) fn objection(&self, status: StatusCode, headers: &HeaderMap) -> Option<Objection> {
        let Sent { token, origin, nonce } = &*self.sent;
        let given = token.binding()?.key.api_nonces().note(origin, headers);
        if status != StatusCode::UNAUTHORIZED {
            return None;
        }
        match &*dpop_error(headers)? {
            "use_dpop_nonce" if given.is_some() && given != *nonce => Some(Objection::Nonce),
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
