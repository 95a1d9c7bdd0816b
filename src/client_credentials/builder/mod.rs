//! The builder of a `ClientCredentials`: one file of setters for each part of the description of a
//! token request.

mod client_credentials_builder;
mod endpoint;
mod request;
mod response;

pub use self::client_credentials_builder::ClientCredentialsBuilder;
