//! The OAuth 2.0 client credentials grant over any tower HTTP client.

mod auth;
mod binding;
mod builder;
mod config;
mod credentials;
#[cfg(feature = "dpop")]
mod dpop;
mod endpoint;
mod message;
mod request;
mod response;
mod retry;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use self::auth::Jwt;
pub use self::config::{ClientCredentialsConfig, ClientsConfig};
#[cfg(feature = "dpop")]
pub use self::dpop::Dpop;
pub use self::{
    auth::{Assertion, ClientAuth},
    builder::ClientCredentialsBuilder,
    credentials::ClientCredentials,
    message::{HttpClient, Placement},
    request::{Grant, TokenExchange},
};
