//! HTTP messages: the headers and parameters that a token request is made of, and the HTTP client's
//! answer to a request.

mod http_client;
mod parts;
mod placement;

pub use self::{http_client::HttpClient, placement::Placement};
pub(super) use self::{
    http_client::{CollectedBody, transport_error},
    parts::{Param, RequestContext, RequestParts},
};
