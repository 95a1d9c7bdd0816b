//! Discovery of the token endpoint (RFC 8414, OpenID Connect Discovery), and the cache of its
//! result.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    issuer::Issuer,
    metadata::Metadata,
    metadata_request,
    options::{AuthMethodChoice, EndpointOptions, MetadataEndpoint, TransportSecurity},
    resolved::ResolvedEndpoint,
    url::EndpointUrl,
};
use crate::{
    client_credentials::{auth::ClientAuth, redaction::Redactor},
    error::{BoxError, Kind, TokenError},
    fetcher::FetchContext,
};

/// Finds the token endpoint in the metadata of an issuer, and remembers it until it does not work.
pub(crate) struct Discovery {
    issuer: Issuer,
    options: EndpointOptions,
    cached: Mutex<Option<CachedEndpoint>>,
}

struct CachedEndpoint {
    endpoint: Arc<ResolvedEndpoint>,
    freshness: Freshness,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The last token request there was answered, and not refused.
    Fresh,
    /// It was refused or has no answer.
    Stale,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, options: EndpointOptions) -> Self {
        Self { issuer, options, cached: Mutex::new(None) }
    }

    /// Where tokens are asked from. `client` is called only if the metadata has to be read, and
    /// then `check` is called with what was found. `auth` is what the client authenticates with, if
    /// it has to.
    pub(crate) async fn endpoint<C, RB>(
        &self,
        client: impl Fn() -> C,
        context: &FetchContext,
        limit: usize,
        auth: Option<&ClientAuth>,
        check: impl Fn(&ResolvedEndpoint) -> Result<(), TokenError>,
    ) -> Result<Arc<ResolvedEndpoint>, TokenError>
    where
        C: Service<Request<Full<Bytes>>, Response = Response<RB>>,
        C::Error: Into<BoxError>,
        RB: Body,
        RB::Error: Into<BoxError>,
    {
        let before = match &*self.lock() {
            Some(CachedEndpoint { endpoint, freshness: Freshness::Fresh }) => {
                return Ok(endpoint.clone());
            }
            Some(CachedEndpoint { endpoint, freshness: Freshness::Stale }) => {
                Some(endpoint.clone())
            }
            None => None,
        };
        let metadata =
            match (metadata_request::read(&self.issuer, client, context, limit).await, before) {
                (Ok(metadata), _) => metadata,
                // An issuer whose metadata cannot be had now may give tokens all the same.
                (Err(error), Some(before)) if error.is_transient() => return Ok(before),
                (Err(error), _) => return Err(error),
            };
        let endpoint = Arc::new(self.resolve(&metadata, auth)?);
        check(&endpoint)?;
        *self.lock() =
            Some(CachedEndpoint { endpoint: endpoint.clone(), freshness: Freshness::Fresh });
        Ok(endpoint)
    }

    /// While the endpoint is stale, the metadata is read again before a token request.
    pub(super) fn mark(&self, freshness: Freshness) {
        if let Some(cached) = &mut *self.lock() {
            cached.freshness = freshness;
        }
    }

    fn resolve(
        &self,
        metadata: &Metadata,
        auth: Option<&ClientAuth>,
    ) -> Result<ResolvedEndpoint, TokenError> {
        // Code point by code point (RFC 8414 sections 3.3 and 4).
        if metadata.issuer != self.issuer.identifier() {
            return Err(TokenError::new(
                Kind::Malformed,
                format!(
                    "the metadata is of the issuer `{}`, write the issuer just like that if it is \
                     the one that is meant",
                    excerpt(&metadata.issuer)
                ),
            ));
        }
        let url = match self.options.metadata_endpoint {
            MetadataEndpoint::TokenEndpoint => metadata.token_endpoint(),
            MetadataEndpoint::MtlsAlias => metadata.mtls_token_endpoint(),
        };
        let url = url.and_then(|url| EndpointUrl::parse(url).ok()).ok_or_else(|| {
            TokenError::new(
                Kind::Malformed,
                "the issuer's metadata has no `token_endpoint` that is a URL, name the token \
                 endpoint instead of the issuer",
            )
        })?;
        let is_confidential = match self.issuer.url().is_https() {
            true => url.is_https(),
            false => url.is_confidential(),
        };
        if self.options.transport_security == TransportSecurity::Required && !is_confidential {
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
        Ok(ResolvedEndpoint { url, issuer: Some(metadata.issuer.clone()), auth })
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

    fn lock(&self) -> MutexGuard<'_, Option<CachedEndpoint>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("issuer", &self.issuer)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn excerpt(text: &str) -> String {
    Redactor::default().excerpt(text)
}
