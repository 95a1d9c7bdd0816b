//! How the client proves who it is: the secrets, how they are read, and the authentication method
//! that writes them into a token request.

mod assertion;
mod basic;
mod client_auth;
#[cfg(feature = "jwt")]
mod jwt;
mod method;
mod parameter_names;
mod request_context;
mod resolved_secrets;
mod secret;

#[cfg(feature = "jwt")]
pub use self::jwt::{Jwt, JwtAlgorithm};
pub use self::{assertion::Assertion, client_auth::ClientAuth, secret::Secret};
pub(super) use self::{
    parameter_names::ParameterNames, request_context::RequestContext,
    resolved_secrets::ResolvedSecrets,
};
