//! The crate as its users see it. The tests have the rooms of `src`.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod cache;
mod client_credentials;
mod dpop;
mod layer;
mod rejection;
mod replay;
mod scenarios;
mod secrets;
mod shared;
mod simulation;
mod stacks;
mod support;
mod tokens;
mod types;
