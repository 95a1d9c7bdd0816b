//! The OAuth 2.0 client credentials grant over any tower HTTP client.

mod advice;
mod assertion;
mod attempt;
mod auth;
mod basic;
mod builder;
#[cfg(feature = "config")]
mod config;
mod credentials;
mod destination;
mod discovery;
mod discovery_setters;
mod draft;
mod endpoint;
mod exchange;
mod grant;
mod grant_setters;
mod issued;
mod issuer;
#[cfg(feature = "jwt")]
mod jwt;
mod members;
mod metadata;
mod names;
mod opened;
mod params;
mod place;
mod pointer;
mod reading;
mod redactor;
mod refusal;
mod request;
mod request_setters;
mod response;
mod response_setters;
mod retry_after;
mod secret;
mod spelling;

#[cfg(feature = "config")]
pub use self::config::ClientCredentialsConfig;
#[cfg(feature = "jwt")]
pub use self::jwt::{Jwt, JwtAlgorithm};
pub use self::{
    assertion::Assertion, auth::ClientAuth, builder::ClientCredentialsBuilder,
    credentials::ClientCredentials, secret::Secret,
};
