//! The endpoint that one token request is sent to.

use super::url::EndpointUrl;
use crate::client_credentials::auth::ClientAuth;

/// A token endpoint, and what depends on it in a token request.
#[derive(Debug)]
pub(crate) struct ResolvedEndpoint {
    pub(crate) url: EndpointUrl,
    /// The issuer, if it is known: whom assertions are for (the update of RFC 7523 section 3).
    pub(crate) issuer: Option<String>,
    /// The authentication that the metadata asks for, in place of the configured one.
    pub(crate) auth: Option<ClientAuth>,
    /// Where tokens are revoked, if that is known.
    pub(crate) revocation: Option<EndpointUrl>,
}

impl ResolvedEndpoint {
    pub(crate) fn at(url: EndpointUrl) -> Self {
        Self { url, issuer: None, auth: None, revocation: None }
    }

    /// Whom an assertion is for, unless it says otherwise.
    pub(crate) fn audience(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.url.to_string())
    }
}
