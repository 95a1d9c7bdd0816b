//! Where the token endpoint comes from: the user, or discovery.

use std::sync::Arc;

use super::{
    discovered::{DiscoveredEndpoint, Freshness},
    options::EndpointOptions,
    resolved::ResolvedEndpoint,
};

/// A fixed endpoint, or one that discovery finds.
#[derive(Debug)]
pub(crate) enum EndpointSource {
    Fixed { endpoint: Arc<ResolvedEndpoint>, options: EndpointOptions },
    Discovered(Box<DiscoveredEndpoint>),
}

impl EndpointSource {
    /// What the user chose about the endpoint.
    pub(crate) fn options(&self) -> EndpointOptions {
        match self {
            Self::Fixed { options, .. } => *options,
            Self::Discovered(discovered) => discovered.options(),
        }
    }

    /// What tells it from others, however it was found.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> serde_json::Value {
        match self {
            Self::Fixed { endpoint, .. } => {
                let url = &endpoint.url;
                serde_json::json!({ "endpoint": [url.origin().to_string(), url.path(), url.query()] })
            }
            Self::Discovered(discovered) => {
                serde_json::json!({ "issuer": discovered.discovery().issuer().identifier() })
            }
        }
    }

    /// A token request is sent there, and its outcome is not known yet.
    pub(crate) fn mark_stale(&self) {
        match self {
            Self::Fixed { .. } => {}
            Self::Discovered(discovered) => discovered.mark(Freshness::Stale),
        }
    }

    /// The outcome gives no reason to read the metadata again.
    pub(crate) fn mark_fresh(&self) {
        match self {
            Self::Fixed { .. } => {}
            Self::Discovered(discovered) => discovered.mark(Freshness::Fresh),
        }
    }
}
