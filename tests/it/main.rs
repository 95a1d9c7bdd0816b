//! The crate as its users see it.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod cache;
mod end_to_end;
mod rejection;
mod replay;
mod request;
mod secrets;
mod support;
mod token_endpoint;
mod token_request;
mod token_response;
