//! The token endpoint that one client finds in an issuer's metadata, and keeps.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    discovery::{Discovery, Snapshot},
    issuer::Issuer,
    metadata::Metadata,
    resolved::ResolvedEndpoint,
};
use crate::{client_credentials::message::HttpClient, error::TokenError};

/// Finds one client's token endpoint in the metadata of an issuer, and remembers it until it does not
/// work.
///
/// The metadata is the same for all clients of the issuer. What follows from it depends on how the
/// client authenticates, and whether it works on the client's own requests.
pub(crate) struct DiscoveredEndpoint {
    discovery: Arc<Discovery>,
    current: Mutex<Option<CurrentEndpoint>>,
}

#[derive(Clone)]
struct CurrentEndpoint {
    endpoint: Arc<ResolvedEndpoint>,
    /// The read of the metadata that it comes from.
    read: u64,
    /// The last token request of this client there was answered, and not refused.
    works: bool,
}

impl DiscoveredEndpoint {
    pub(super) fn of(issuer: Issuer) -> Self {
        Self { discovery: Arc::new(Discovery::new(issuer)), current: Mutex::default() }
    }

    /// For another client of the issuer, with the same metadata.
    pub(super) fn derive(&self) -> Self {
        Self { discovery: self.discovery.clone(), current: Mutex::default() }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        self.discovery.issuer()
    }

    /// Where tokens are asked from. `client` is called only if the metadata has to be read. `resolve` says what
    /// follows from metadata that this client has not used yet.
    pub(crate) async fn endpoint<C: HttpClient>(
        &self,
        client: impl Fn() -> C,
        limit: usize,
        resolve: impl Fn(&Issuer, &Metadata) -> Result<ResolvedEndpoint, TokenError>,
    ) -> Result<Arc<ResolvedEndpoint>, TokenError> {
        let before = self.lock().clone();
        let read_before = before.as_ref().map(|current| current.read);
        let newer = self.discovery.newest().filter(|newest| Some(newest.read) > read_before);
        if let Some(newer) = newer {
            // What another client read may not suit this one, whose own endpoint may still work.
            if let Ok(endpoint) = self.adopt(newer, &resolve) {
                return Ok(endpoint);
            }
        }
        if let Some(CurrentEndpoint { endpoint, works: true, .. }) = &before {
            return Ok(endpoint.clone());
        }
        match (self.discovery.read(client, limit).await, before) {
            (Ok(snapshot), _) => self.adopt(snapshot, &resolve),
            // An issuer whose metadata cannot be had now may give tokens all the same.
            (Err(error), Some(before)) if error.is_transient() => Ok(before.endpoint),
            (Err(error), _) => Err(error),
        }
    }

    /// While the endpoint does not work, newer metadata is used before a token request.
    pub(super) fn mark(&self, works: bool) {
        if let Some(current) = &mut *self.lock() {
            current.works = works;
        }
    }

    fn adopt(
        &self,
        Snapshot { metadata, read }: Snapshot,
        resolve: impl Fn(&Issuer, &Metadata) -> Result<ResolvedEndpoint, TokenError>,
    ) -> Result<Arc<ResolvedEndpoint>, TokenError> {
        let endpoint = Arc::new(resolve(self.issuer(), &metadata)?);
        *self.lock() = Some(CurrentEndpoint { endpoint: endpoint.clone(), read, works: true });
        Ok(endpoint)
    }

    fn lock(&self) -> MutexGuard<'_, Option<CurrentEndpoint>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DiscoveredEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscoveredEndpoint")
            .field("discovery", &self.discovery)
            .finish_non_exhaustive()
    }
}
