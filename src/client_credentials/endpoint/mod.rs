//! Where a token request is sent: a URL that the user gives, or one from the metadata of an
//! issuer.

mod discovery;
mod issuer;
mod metadata;
mod resolved;
mod source;
mod url;

pub(super) use self::{
    discovery::{Alias, Choice, Discovery, Transport, Wishes},
    issuer::Issuer,
    resolved::Place,
    source::Destination,
    url::Endpoint,
};
