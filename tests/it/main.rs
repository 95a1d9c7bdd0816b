//! The crate as its users see it.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod adversity;
mod cache;
mod client_credentials;
mod end_to_end;
mod observe;
mod rejection;
mod replay;
mod request;
mod runtimes;
mod secrets;
mod support;
mod token_endpoint;
mod token_failure;
mod token_request;
mod token_response;
mod wire;
