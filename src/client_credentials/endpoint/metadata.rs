use serde::Deserialize;

/// What is used of an authorization server's metadata (RFC 8414 section 2).
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    token_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    mtls_endpoint_aliases: Aliases,
}

/// RFC 8705 section 5.
#[derive(Default, Deserialize)]
struct Aliases {
    token_endpoint: Option<String>,
}

impl Metadata {
    /// `None` for what is no JSON object with an issuer.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        // serde would take an array for it.
        let object = body.trim_ascii_start();
        object.starts_with(b"{").then(|| serde_json::from_slice(object).ok()).flatten()
    }

    pub(crate) fn token_endpoint(&self) -> Option<&str> {
        self.token_endpoint.as_deref()
    }

    /// For clients that authenticate with a certificate. The same as for others if it has no other.
    pub(crate) fn mtls_token_endpoint(&self) -> Option<&str> {
        self.mtls_endpoint_aliases.token_endpoint.as_deref().or(self.token_endpoint())
    }

    pub(crate) fn auth_methods(&self) -> Vec<&str> {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().map(|method| &**method).collect(),
            None => vec!["client_secret_basic"],
        }
    }
}
