//! Setters for the endpoint, and for the use of an issuer's metadata.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::client_credentials::endpoint::EndpointUrl;

/// Which endpoint is used, and what an issuer's metadata decides.
impl<C> ClientCredentialsBuilder<C> {
    /// Whether the token endpoint or the issuer may be over plain `http`, where anyone on the network can read the
    /// secret and the token. Not needed for loopback: `localhost`, `127.0.0.0/8` and `[::1]`. Default: `false`.
    pub fn allow_http(self, allow: bool) -> Self {
        self.change(|credentials| credentials.endpoint_options.allow_http = allow)
    }

    /// Whether to ask for tokens at the `token_endpoint` among the `mtls_endpoint_aliases` (RFC 8705 section
    /// 5), if there is one, for an HTTP client that has a certificate. Default: `false`.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it without
    /// [`ClientCredentials::discover`](crate::ClientCredentials::discover).
    pub fn mtls_endpoint_alias(self, alias: bool) -> Self {
        self.change(|credentials| credentials.endpoint_options.mtls_endpoint_alias = alias)
    }

    /// Where [`TokenCache::revoke`](crate::TokenCache::revoke) has tokens revoked (RFC 7009 section 2). Default: the
    /// `revocation_endpoint` of the issuer's metadata, if the client starts from an issuer. The client
    /// authenticates there as at the token endpoint.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses a URL as it does for the token endpoint.
    pub fn revocation_endpoint(self, url: impl AsRef<str>) -> Self {
        self.set(|credentials| {
            let url = EndpointUrl::parse(url.as_ref());
            let url = url.map_err(|problem| problem.in_field("revocation_endpoint"))?;
            credentials.revocation_endpoint = Some(url);
            Ok(())
        })
    }

    /// Whether to send the secret by [`ClientAuth::basic`](crate::ClientAuth::basic) or
    /// [`ClientAuth::post`](crate::ClientAuth::post), whichever the issuer lists first, if it does
    /// not list the one that was passed. Default: `false`, which makes that an error.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it without
    /// [`ClientCredentials::discover`](crate::ClientCredentials::discover).
    pub fn pick_auth_method(self, pick: bool) -> Self {
        self.change(|credentials| credentials.endpoint_options.pick_auth_method = pick)
    }
}
