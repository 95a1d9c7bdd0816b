//! The OAuth 2.0 client credentials grant over any tower HTTP client.

mod auth;
mod builder;
mod credentials;
mod draft;
mod endpoint;
mod exchange;
mod grant;
mod issued;
mod members;
mod params;
mod redactor;
mod refusal;
mod request;
mod response;
mod retry_after;
mod spelling;

pub use self::{
    auth::ClientAuth, builder::ClientCredentialsBuilder, credentials::ClientCredentials,
};
