//! Secrets: where they are read from, and how they are kept out of texts that others wrote.

mod decoded_text;
mod redactor;
mod resolved_secrets;
mod source;

pub use self::source::Secret;
pub(crate) use self::{
    redactor::{REDACTED, Redactor, causes},
    resolved_secrets::ResolvedSecrets,
};
