//! What a token request says: the grant, the scope and the other parameters, and the HTTP request
//! that they are written into.

mod encode;
mod grant;
mod params;
mod prepared;
pub(super) mod scope;
mod token_request;

pub(super) use self::{
    grant::{Grant, GrantType, TypedToken},
    prepared::PreparedRequest,
    token_request::{ClientIdPlacement, TokenRequest},
};
