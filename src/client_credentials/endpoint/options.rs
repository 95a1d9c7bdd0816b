//! Which token endpoints are allowed, and which parts of an issuer's metadata are used.

/// What the user chose about the endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndpointOptions {
    pub(crate) transport_security: TransportSecurity,
    pub(crate) metadata_endpoint: MetadataEndpoint,
    pub(crate) auth_method: AuthMethodChoice,
}

/// Whether the endpoint has to be `https` or on loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TransportSecurity {
    #[default]
    Required,
    Optional,
}

/// Which endpoint of the metadata is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MetadataEndpoint {
    #[default]
    TokenEndpoint,
    /// The one among the `mtls_endpoint_aliases` (RFC 8705 section 5), if there is one.
    MtlsAlias,
}

/// Who chooses how the client authenticates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AuthMethodChoice {
    /// The user alone.
    #[default]
    Configured,
    /// The user, or the metadata if it does not list the user's choice.
    FromMetadata,
}

impl EndpointOptions {
    /// Whether they mean anything only together with the metadata of an issuer.
    pub(crate) fn need_issuer(self) -> bool {
        self.metadata_endpoint != MetadataEndpoint::TokenEndpoint
            || self.auth_method != AuthMethodChoice::Configured
    }
}
