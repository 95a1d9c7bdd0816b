//! How the client proves who it is: the authentication method that writes its secrets into a token
//! request.

mod assertion;
mod basic;
mod client_auth;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod jwt;
mod method;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use self::jwt::Jwt;
pub use self::{assertion::Assertion, client_auth::ClientAuth};
