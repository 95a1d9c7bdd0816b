//! What the tokens are to be bound to. Without the feature `dpop` there is nothing that they could be.

#[cfg(feature = "dpop")]
#[path = "dpop.rs"]
mod imp;
#[cfg(not(feature = "dpop"))]
#[path = "none.rs"]
mod imp;

pub(super) use self::imp::{SentProof, TokenBinding};
