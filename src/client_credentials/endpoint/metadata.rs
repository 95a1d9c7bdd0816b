//! The metadata of an authorization server (RFC 8414 section 2), as far as it is used.

use serde::Deserialize;

/// The metadata, with the members that are used here.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    mtls_endpoint_aliases: Aliases,
}

/// RFC 8705 section 5.
#[derive(Default, Deserialize)]
struct Aliases {
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

impl Metadata {
    /// `None` for what is no JSON object with an issuer.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // serde would take an array for it.
        let object = body.trim_ascii_start();
        object.starts_with(b"{").then(|| serde_json::from_slice(object).ok()).flatten()
    }

    pub(super) fn token_endpoint(&self) -> Option<&str> {
        self.token_endpoint.as_deref()
    }

    /// For clients that authenticate with a certificate. The same as for others if it has no other.
    pub(super) fn mtls_token_endpoint(&self) -> Option<&str> {
        self.mtls_endpoint_aliases.token_endpoint.as_deref().or(self.token_endpoint())
    }

    pub(super) fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_deref()
    }

    pub(super) fn mtls_revocation_endpoint(&self) -> Option<&str> {
        self.mtls_endpoint_aliases.revocation_endpoint.as_deref().or(self.revocation_endpoint())
    }

    pub(super) fn auth_methods(&self) -> Vec<&str> {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().map(|method| &**method).collect(),
            None => vec!["client_secret_basic"],
        }
    }
}
