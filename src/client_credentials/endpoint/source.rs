//! Where the token endpoint comes from: the user, or discovery.

use std::sync::Arc;

use super::{
    discovered::DiscoveredEndpoint, issuer::Issuer, resolved::ResolvedEndpoint, url::EndpointUrl,
};
use crate::error::TokenError;

/// A fixed endpoint, or one that discovery finds.
#[derive(Debug)]
pub(crate) enum EndpointSource {
    Fixed(Arc<ResolvedEndpoint>),
    Discovered(DiscoveredEndpoint),
}

impl EndpointSource {
    pub(crate) fn at(url: &str) -> Result<Self, TokenError> {
        Ok(Self::Fixed(Arc::new(ResolvedEndpoint::at(EndpointUrl::parse(url)?))))
    }

    pub(crate) fn of_issuer(issuer: &str) -> Result<Self, TokenError> {
        Ok(Self::Discovered(DiscoveredEndpoint::of(Issuer::parse(issuer)?)))
    }

    /// The same, without what was met with the endpoint.
    pub(crate) fn derive(&self) -> Self {
        match self {
            Self::Fixed(endpoint) => Self::Fixed(endpoint.clone()),
            Self::Discovered(discovered) => Self::Discovered(discovered.derive()),
        }
    }

    /// The endpoint, or the issuer in its place.
    pub(crate) fn url(&self) -> &EndpointUrl {
        match self {
            Self::Fixed(endpoint) => &endpoint.url,
            Self::Discovered(discovered) => discovered.issuer().url(),
        }
    }

    /// What tells it from others, however it was found.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> serde_json::Value {
        match self {
            Self::Fixed(endpoint) => {
                let url = &endpoint.url;
                serde_json::json!({ "endpoint": [url.origin().to_string(), url.path(), url.query()] })
            }
            Self::Discovered(discovered) => {
                serde_json::json!({ "issuer": discovered.issuer().identifier() })
            }
        }
    }

    /// Whether the last token request there was answered, and not refused. While it is under way it counts as
    /// one that was not: a fetch that runs into its timeout ends there.
    pub(crate) fn mark(&self, works: bool) {
        if let Self::Discovered(discovered) = self {
            discovered.mark(works);
        }
    }
}
