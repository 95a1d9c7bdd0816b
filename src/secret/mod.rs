//! Secrets: where they are read from, and how they are kept out of texts that others wrote.

mod readings;
mod redactor;
mod resolved_secrets;
mod source;

pub use self::source::Secret;
pub(crate) use self::{
    redactor::{Redactor, causes},
    resolved_secrets::ResolvedSecrets,
};
