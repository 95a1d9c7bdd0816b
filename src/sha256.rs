//! SHA-256, for names that show nothing of what they stand for.

use std::fmt::Write;

use crate::crypto::provider::digest::{SHA256, digest};

pub(crate) fn sha256_hex(text: &str) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
    }
    hex
}
