//! What a token request says: the grant, the scope and the other parameters, and the HTTP request
//! that they are written into.

mod encode;
mod grant;
mod params;
pub(super) mod scope;
mod token_request;

pub use self::grant::{Grant, TokenExchange};
pub(super) use self::token_request::{PreparedRequest, TokenRequest};
