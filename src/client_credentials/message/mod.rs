//! HTTP messages: the headers and parameters that a token request is made of, and the exchange of
//! a request for a response.

mod parts;
mod transport;

pub(super) use self::{
    parts::{Draft, Shape},
    transport::{Content, exchange, unanswered},
};
