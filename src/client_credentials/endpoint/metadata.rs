//! The metadata of an authorization server (RFC 8414 section 2), as far as it is used.

use serde::Deserialize;

/// The metadata, with the members that are used here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
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

    /// The token endpoint and the revocation endpoint.
    pub(super) fn endpoints(&self) -> [Option<&str>; 2] {
        [self.token_endpoint.as_deref(), self.revocation_endpoint.as_deref()]
    }

    /// Those for clients that authenticate with a certificate. The same as for others if there are no other ones.
    pub(super) fn mtls_endpoints(&self) -> [Option<&str>; 2] {
        let Aliases { token_endpoint, revocation_endpoint } = &self.mtls_endpoint_aliases;
        let [token, revocation] = self.endpoints();
        [token_endpoint.as_deref().or(token), revocation_endpoint.as_deref().or(revocation)]
    }

    pub(super) fn auth_methods(&self) -> Vec<&str> {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().map(|method| &**method).collect(),
            None => vec!["client_secret_basic"],
        }
    }
}
