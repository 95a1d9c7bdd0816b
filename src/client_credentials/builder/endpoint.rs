//! Setters for the endpoint, and for the use of an issuer's metadata.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::client_credentials::endpoint::{
    AuthMethodChoice, EndpointUrl, MetadataEndpoint, TransportSecurity,
};

/// Which endpoint is used, and what an issuer's metadata decides.
impl<C> ClientCredentialsBuilder<C> {
    /// Allows a token endpoint or an issuer over plain `http`, where anyone on the network can read the secret
    /// and the token. Not needed for loopback: `localhost`, `127.0.0.0/8` and `[::1]`.
    pub fn allow_http(mut self) -> Self {
        self.endpoint_options.transport_security = TransportSecurity::Optional;
        self
    }

    /// Asks for tokens at the `token_endpoint` among the `mtls_endpoint_aliases` (RFC 8705 section
    /// 5), if there is one, for an HTTP client that has a certificate.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it without
    /// [`ClientCredentials::discover`](crate::ClientCredentials::discover).
    pub fn mtls_endpoint_alias(mut self) -> Self {
        self.endpoint_options.metadata_endpoint = MetadataEndpoint::MtlsAlias;
        self
    }

    /// Where [`TokenCache::revoke`](crate::TokenCache::revoke) has tokens revoked (RFC 7009 section 2). Default: the
    /// `revocation_endpoint` of the issuer's metadata, if the client starts from an issuer. The client
    /// authenticates there as at the token endpoint.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses a URL as it does for the token endpoint.
    pub fn revocation_endpoint(mut self, url: impl AsRef<str>) -> Self {
        match EndpointUrl::parse(url.as_ref()) {
            Ok(url) => self.revocation_endpoint = Some(url),
            Err(problem) => self.record_problem(problem.in_field("revocation_endpoint")),
        }
        self
    }

    /// Sends the secret by [`ClientAuth::basic`](crate::ClientAuth::basic) or
    /// [`ClientAuth::post`](crate::ClientAuth::post), whichever the issuer lists first, if it does
    /// not list the one that was passed. By default that is an error.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it without
    /// [`ClientCredentials::discover`](crate::ClientCredentials::discover).
    pub fn pick_auth_method(mut self) -> Self {
        self.endpoint_options.auth_method = AuthMethodChoice::FromMetadata;
        self
    }
}
