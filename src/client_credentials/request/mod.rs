//! What a token request says: the grant, the scope and the other parameters, and the HTTP request
//! that they are written into.

mod grant;
pub(super) mod params;
mod token_request;

pub(super) use self::{
    grant::Grant,
    token_request::{ClientIdPlace, Drawn, GrantType, TokenRequest},
};
