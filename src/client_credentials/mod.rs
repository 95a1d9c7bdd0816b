//! The OAuth 2.0 client credentials grant over any tower HTTP client.

mod auth;
mod binding;
mod builder;
#[cfg(feature = "config")]
mod config;
mod credentials;
mod endpoint;
mod message;
mod redaction;
mod request;
mod response;
mod retry;

#[cfg(feature = "jwt")]
pub use self::auth::{Jwt, JwtAlgorithm};
#[cfg(feature = "config")]
pub use self::config::{ClientCredentialsConfig, ClientsConfig};
#[cfg(feature = "shared")]
pub(crate) use self::redaction::Redactor;
pub use self::{
    auth::{Assertion, ClientAuth, Secret},
    builder::ClientCredentialsBuilder,
    credentials::ClientCredentials,
};
