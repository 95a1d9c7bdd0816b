//! What several rooms read of HTTP.

mod challenge;
#[cfg(feature = "client-credentials")]
mod claims;
mod origin;
#[cfg(feature = "client-credentials")]
mod retry_after;

#[cfg(feature = "dpop")]
pub(crate) use self::challenge::dpop_error;
pub(crate) use self::{
    challenge::{bearer_error, is_about_the_token},
    origin::{Origin, is_loopback},
};
#[cfg(feature = "client-credentials")]
pub(crate) use self::{claims::wanted_claims, retry_after::retry_after};
