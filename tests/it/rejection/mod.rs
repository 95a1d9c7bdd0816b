//! Responses that reject a token (`src/rejection.rs`, `src/http/challenge.rs`).

mod challenge;
mod cooldown;
mod refused_token;
