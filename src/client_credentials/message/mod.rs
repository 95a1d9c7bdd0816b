//! HTTP messages: the headers and parameters that a token request is made of, and the HTTP client's
//! answer to a request.

mod parts;
mod placement;
mod transport;

pub(super) use self::{
    parts::{Param, RequestParts},
    placement::Placement,
    transport::{CollectedBody, send, transport_error},
};
