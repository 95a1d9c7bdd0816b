//! The crate as its users see it.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod request;
mod support;
