//! Where the token endpoint comes from: the user, or discovery.

use std::sync::Arc;

use super::{
    discovery::{Discovery, Freshness},
    resolved::ResolvedEndpoint,
};

/// A fixed endpoint, or one that discovery finds.
#[derive(Debug)]
pub(crate) enum EndpointSource {
    Fixed(Arc<ResolvedEndpoint>),
    Discovered(Box<Discovery>),
}

impl EndpointSource {
    /// A token request is sent there, and its outcome is not known yet.
    pub(crate) fn mark_stale(&self) {
        match self {
            Self::Fixed(_) => {}
            Self::Discovered(discovery) => discovery.mark(Freshness::Stale),
        }
    }

    /// The outcome gives no reason to read the metadata again.
    pub(crate) fn mark_fresh(&self) {
        match self {
            Self::Fixed(_) => {}
            Self::Discovered(discovery) => discovery.mark(Freshness::Fresh),
        }
    }
}
