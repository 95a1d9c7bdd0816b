//! Where a token request is sent: a URL that the user gives, or one from the metadata of an
//! issuer.

mod discovered;
mod discovery;
mod issuer;
mod metadata;
mod metadata_request;
mod resolved;
mod source;
mod url;

pub(super) use self::{
    resolved::{EndpointOptions, ResolvedEndpoint},
    source::EndpointSource,
    url::EndpointUrl,
};
