//! The token endpoint that one client finds in an issuer's metadata, and keeps.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    discovery::{Discovery, Snapshot},
    metadata::Metadata,
    options::{AuthMethodChoice, EndpointOptions, MetadataEndpoint, TransportSecurity},
    resolved::ResolvedEndpoint,
    url::EndpointUrl,
};
use crate::{
    client_credentials::{auth::ClientAuth, message::HttpClient},
    error::{Kind, TokenError},
    secret::Redactor,
};

/// Finds one client's token endpoint in the metadata of an issuer, and remembers it until it does not
/// work.
///
/// The metadata is the same for all clients of the issuer. What follows from it depends on how the
/// client authenticates, and whether it works on the client's own requests.
pub(crate) struct DiscoveredEndpoint {
    discovery: Arc<Discovery>,
    options: EndpointOptions,
    current: Mutex<Option<CurrentEndpoint>>,
}

#[derive(Clone)]
struct CurrentEndpoint {
    endpoint: Arc<ResolvedEndpoint>,
    /// The read of the metadata that it comes from.
    read: u64,
    freshness: Freshness,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The last token request of this client there was answered, and not refused.
    Fresh,
    /// It was refused or has no answer.
    Stale,
}

impl DiscoveredEndpoint {
    pub(crate) fn new(discovery: Arc<Discovery>, options: EndpointOptions) -> Self {
        Self { discovery, options, current: Mutex::new(None) }
    }

    pub(crate) fn discovery(&self) -> &Arc<Discovery> {
        &self.discovery
    }

    pub(super) fn options(&self) -> EndpointOptions {
        self.options
    }

    /// Where tokens are asked from. `client` is called only if the metadata has to be read. `check` is
    /// called with an endpoint that this client has not used yet. `auth` is what the client
    /// authenticates with, if it has to.
    pub(crate) async fn endpoint<C: HttpClient>(
        &self,
        client: impl Fn() -> C,
        limit: usize,
        auth: Option<&ClientAuth>,
        check: impl Fn(&ResolvedEndpoint) -> Result<(), TokenError>,
    ) -> Result<Arc<ResolvedEndpoint>, TokenError> {
        let before = self.lock().clone();
        let read_before = before.as_ref().map(|current| current.read);
        let newer = self.discovery.newest().filter(|newest| Some(newest.read) > read_before);
        if let Some(newer) = newer {
            // What another client read may not suit this one, whose own endpoint may still work.
            if let Ok(endpoint) = self.adopt(newer, auth, &check) {
                return Ok(endpoint);
            }
        }
        let before = match before {
            Some(CurrentEndpoint { endpoint, freshness: Freshness::Fresh, .. }) => {
                return Ok(endpoint);
            }
            Some(CurrentEndpoint { endpoint, freshness: Freshness::Stale, .. }) => Some(endpoint),
            None => None,
        };
        match (self.discovery.read(client, limit).await, before) {
            (Ok(snapshot), _) => self.adopt(snapshot, auth, &check),
            // An issuer whose metadata cannot be had now may give tokens all the same.
            (Err(error), Some(before)) if error.is_transient() => Ok(before),
            (Err(error), _) => Err(error),
        }
    }

    /// While the endpoint is stale, newer metadata is used before a token request.
    pub(super) fn mark(&self, freshness: Freshness) {
        if let Some(current) = &mut *self.lock() {
            current.freshness = freshness;
        }
    }

    fn adopt(
        &self,
        Snapshot { metadata, read }: Snapshot,
        auth: Option<&ClientAuth>,
        check: impl Fn(&ResolvedEndpoint) -> Result<(), TokenError>,
    ) -> Result<Arc<ResolvedEndpoint>, TokenError> {
        let endpoint = Arc::new(self.resolve(&metadata, auth)?);
        check(&endpoint)?;
        *self.lock() =
            Some(CurrentEndpoint { endpoint: endpoint.clone(), read, freshness: Freshness::Fresh });
        Ok(endpoint)
    }

    fn resolve(
        &self,
        metadata: &Metadata,
        auth: Option<&ClientAuth>,
    ) -> Result<ResolvedEndpoint, TokenError> {
        // Code point by code point (RFC 8414 sections 3.3 and 4).
        if metadata.issuer != self.discovery.issuer().identifier() {
            return Err(TokenError::new(
                Kind::Malformed,
                format!(
                    "the metadata is of the issuer `{}`, write the issuer just like that if it is \
                     the one that is meant",
                    excerpt(&metadata.issuer)
                ),
            ));
        }
        let (url, revocation) = match self.options.metadata_endpoint {
            MetadataEndpoint::TokenEndpoint => {
                (metadata.token_endpoint(), metadata.revocation_endpoint())
            }
            MetadataEndpoint::MtlsAlias => {
                (metadata.mtls_token_endpoint(), metadata.mtls_revocation_endpoint())
            }
        };
        let url = url.and_then(|url| EndpointUrl::parse(url).ok()).ok_or_else(|| {
            TokenError::new(
                Kind::Malformed,
                "the issuer's metadata has no `token_endpoint` that is a URL, name the token \
                 endpoint instead of the issuer",
            )
        })?;
        if !self.is_allowed(&url) {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the issuer's metadata has the token endpoint {url}, and the secret is \
                     not sent over plain http, have the issuer mend it or call `allow_http`"
                ),
            ));
        }
        let auth = match auth {
            Some(auth) => self.other_auth(auth, &metadata.auth_methods())?,
            None => None,
        };
        // Tokens can be had without it.
        let revocation = revocation
            .and_then(|url| EndpointUrl::parse(url).ok())
            .filter(|url| self.is_allowed(url));
        Ok(ResolvedEndpoint { url, issuer: Some(metadata.issuer.clone()), auth, revocation })
    }

    /// Whether a secret may be sent there.
    fn is_allowed(&self, url: &EndpointUrl) -> bool {
        self.options.transport_security == TransportSecurity::Optional
            || match self.discovery.issuer().url().is_https() {
                true => url.is_https(),
                false => url.is_confidential(),
            }
    }

    /// What the client authenticates with in place of `auth`, if the issuer does not take that.
    fn other_auth(
        &self,
        auth: &ClientAuth,
        methods: &[&str],
    ) -> Result<Option<ClientAuth>, TokenError> {
        if auth.is_any_of(methods) {
            return Ok(None);
        }
        let other = auth.by_first_of(methods);
        match other {
            Some(other) if self.options.auth_method == AuthMethodChoice::FromMetadata => {
                Ok(Some(other))
            }
            other => Err(TokenError::config(format!(
                "the issuer does not take this `ClientAuth`, only {}: choose one of them{}",
                excerpt(&methods.join(", ")),
                match other {
                    Some(auth) => format!(", such as `{auth:?}`, or call `pick_auth_method`"),
                    None => String::new(),
                }
            ))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<CurrentEndpoint>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DiscoveredEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscoveredEndpoint")
            .field("discovery", &self.discovery)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn excerpt(text: &str) -> String {
    Redactor::default().excerpt(text)
}
