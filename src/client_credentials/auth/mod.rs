//! How the client proves who it is: the authentication method that writes its secrets into a token
//! request.

mod assertion;
mod basic;
mod client_auth;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod jwt;
mod method;
mod parameter_names;
mod request_context;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use self::jwt::Jwt;
pub use self::{assertion::Assertion, client_auth::ClientAuth};
pub(super) use self::{parameter_names::ParameterNames, request_context::RequestContext};
