//! Some tokens are bound, and those that are sent know it.

use std::time::SystemTime;

use http::{HeaderMap, Request, StatusCode, Uri};

use super::Objection;
use crate::{
    challenge::dpop_error,
    dpop::{Binding, DPOP, Nonce, Proof, TargetUri, origin},
    error::TokenError,
    rejection::is_about_the_token,
    replay::{Keep, Replay, Saved},
    token::Token,
};

/// What a request with a bound token leaves behind that the inner service has.
pub(crate) struct Bound<B> {
    sent: Box<Sent<B>>,
}

struct Sent<B> {
    token: Token,
    origin: String,
    nonce: Option<Nonce>,
    attempt: NonceAttempt<B>,
}

impl<B> Bound<B> {
    /// Writes a proof into the request, if the token is bound. `base` has the origin of a request whose
    /// URI names none.
    #[inline]
    pub(crate) fn prove(
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
    fn sign(
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
        let (token, attempt) = (token.clone(), NonceAttempt::without_body(true));
        Ok(Self { sent: Box::new(Sent { token, origin, nonce, attempt }) })
    }

    /// Says what there is for an attempt with another nonce.
    pub(crate) fn allow(&mut self, mut attempt: NonceAttempt<B>, body: &B) {
        if let Spare::Later(clone) = attempt.body {
            attempt.body = Spare::Clone(Saved::Body(clone(body)));
        }
        self.sent.attempt = attempt;
    }

    pub(crate) fn into_parts(self) -> (Token, NonceAttempt<B>) {
        let Sent { token, attempt, .. } = *self.sent;
        (token, attempt)
    }

    pub(crate) fn is_needed_for(token: &Token) -> bool {
        token.binding().is_some()
    }

    /// What the response has against the proof. Remembers the nonce that it gives.
    ///
    /// A 401 has one, and what else the layer takes for a refusal, such as a status of gRPC.
    pub(crate) fn objection(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        is_rejection: impl FnOnce() -> bool,
    ) -> Option<Objection> {
        let Sent { token, origin, nonce, attempt } = &*self.sent;
        let given = token.binding()?.key.api_nonces().note(origin, headers);
        if status != StatusCode::UNAUTHORIZED && !is_rejection() {
            return None;
        }
        match &*dpop_error(headers)? {
            "use_dpop_nonce" if !attempt.is_spent() && given.is_some() && given != *nonce => {
                Some(Objection::Nonce)
            }
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

/// The one attempt that a request has for a nonce that the API asks for.
pub(crate) struct NonceAttempt<B> {
    is_spent: bool,
    body: Spare<B>,
}

/// A clone of the body for the attempt after that one, where the policy keeps clones.
enum Spare<B> {
    None,
    Clone(Saved<B>),
    /// It is made when the token turns out to be bound.
    Later(fn(&B) -> B),
}

impl<B> NonceAttempt<B> {
    pub(crate) fn of<R: Replay<B>>(replay: &R, body: &B) -> Self {
        let body = match replay.clone_body() {
            Some(clone) => Spare::Later(clone),
            None => match replay.keep(body) {
                Keep::Saved(saved) => Spare::Clone(saved),
                Keep::Nothing | Keep::Watch => Spare::None,
            },
        };
        Self { is_spent: false, body }
    }

    /// For a request whose token is not known yet. The user's function is not called for a body that may not
    /// be needed.
    pub(crate) fn later<R: Replay<B>>(replay: &R) -> Self {
        let body = replay.clone_body().map_or(Spare::None, Spare::Later);
        Self { is_spent: false, body }
    }

    pub(crate) fn without_body(is_spent: bool) -> Self {
        Self { is_spent, body: Spare::None }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent
    }

    pub(crate) fn into_body(self) -> Option<Saved<B>> {
        match self.body {
            Spare::Clone(saved) => Some(saved),
            Spare::None | Spare::Later(_) => None,
        }
    }
}
