//! The description of a token request, or of several by name, as a file or the environment gives it,
//! and the builder that results from it.

mod auth;
mod client_credentials_config;
mod clients_config;
mod fields;
mod value;

pub use self::{client_credentials_config::ClientCredentialsConfig, clients_config::ClientsConfig};
