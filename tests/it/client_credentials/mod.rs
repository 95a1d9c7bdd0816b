//! The client credentials grant (`src/client_credentials`).

mod adversity;
mod auth;
mod builder;
mod config;
mod derive;
mod endpoint;
mod request;
mod response;
mod revocation;
mod token_endpoint;
mod token_failure;
mod wire;
