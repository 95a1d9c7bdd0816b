//! The crate as its users see it.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod adversity;
mod assertion;
mod cache;
mod challenge;
mod client_credentials;
mod client_credentials_adversity;
mod config;
mod discovery;
mod end_to_end;
mod header;
mod interleavings;
mod late;
mod mapping;
mod order;
mod placement;
mod providers;
mod readiness;
mod redirect;
mod reentry;
mod rejection;
mod replay;
mod request;
mod rotation;
mod runtimes;
mod scenarios;
mod secrets;
mod simulation;
mod stacks;
mod support;
mod token_endpoint;
mod token_failure;
mod token_request;
mod token_response;
mod types;
mod wire;
