//! What a request has beside a token that is bound to a key (RFC 9449): a proof, and one attempt more if the
//! API asks for a nonce. Without the feature `dpop` no token is bound, and all of this is nothing.

#[cfg(feature = "dpop")]
#[path = "dpop.rs"]
mod imp;
#[cfg(not(feature = "dpop"))]
#[path = "none.rs"]
mod imp;

pub(crate) use self::imp::{Bound, NonceAttempt};

/// What a 401 has against the proof, and not against the token.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "dpop"), expect(dead_code))]
pub(crate) enum Objection {
    /// It wants this one more nonce, which is known now.
    Nonce,
    /// Something that another token does not mend.
    Other,
}
