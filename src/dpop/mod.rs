//! Proofs that whoever sends a token has the key that it is bound to (RFC 9449, DPoP).

mod key;
mod nonces;
mod proof;
mod sent_proof;
mod target_uri;

pub use key::DpopKey;
pub(crate) use nonces::Nonce;
pub(crate) use proof::{AccessTokenHash, DPOP, Proof};
pub(crate) use sent_proof::KeyBinding;
pub(crate) use target_uri::TargetUri;
