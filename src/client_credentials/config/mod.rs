//! The description of a token request, or of several by name, as a file or the environment gives it,
//! and the builder that results from it.

mod auth_fields;
mod client_credentials_config;
mod clients_config;
mod defaults;
mod field_error;
mod field_setter;
mod secret_source;
mod value;

pub use self::{client_credentials_config::ClientCredentialsConfig, clients_config::ClientsConfig};
