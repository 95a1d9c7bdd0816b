//! What a token that is bound to a key asks for: a proof in each attempt, beside the token.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::{error::TokenError, http::Origin};

/// The key that a token is bound to.
pub(crate) trait Binding: fmt::Debug + Send + Sync {
    /// A proof for a request. `base` has the origin of one whose URI names none.
    ///
    /// # Errors
    ///
    /// No proof can be made for this request.
    fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        base: Option<&Origin>,
    ) -> Result<Proven, TokenError>;
}

/// A header to send, and what to hold on to until the response comes.
pub(crate) struct Proven {
    pub(crate) header: (HeaderName, HeaderValue),
    pub(crate) check: Box<dyn ProofCheck>,
}

/// A proof that an attempt carries.
pub(crate) trait ProofCheck: Send + Sync {
    /// What a response has against the proof. `is_rejection` says whether the layer takes the response for a
    /// rejection of the token.
    fn objection(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        is_rejection: &dyn Fn() -> bool,
    ) -> Option<Objection>;
}

/// What a response has against the proof, and not against the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "dpop"), expect(dead_code, reason = "no other feature makes proofs"))]
pub(crate) enum Objection {
    /// The same token is worth another attempt, with another proof.
    Repeat,
    /// Something that another token does not mend.
    Other,
}
