//! The OAuth 2.0 client credentials grant over any tower HTTP client.

mod auth;
mod binding;
mod builder;
#[cfg(feature = "config")]
mod config;
mod credentials;
mod endpoint;
mod message;
mod request;
mod response;
mod retry;

#[cfg(feature = "jwt")]
pub use self::auth::Jwt;
#[cfg(feature = "config")]
pub use self::config::{ClientCredentialsConfig, ClientsConfig};
pub use self::{
    auth::{Assertion, ClientAuth},
    builder::ClientCredentialsBuilder,
    credentials::ClientCredentials,
};
