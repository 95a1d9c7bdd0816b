//! What is taken out of texts before anyone sees them: secrets in any encoding, and the queries of
//! URLs.

mod decoded_text;
mod redactor;

pub(crate) use self::redactor::Redactor;
pub(super) use self::redactor::{REDACTED, causes};
