//! Setters for the endpoint, and for the use of an issuer's metadata.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::client_credentials::endpoint::{AuthMethodChoice, MetadataEndpoint};

/// Which endpoint is used, and what an issuer's metadata decides.
impl<C> ClientCredentialsBuilder<C> {
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
