use super::url::Endpoint;
use crate::client_credentials::auth::ClientAuth;

/// Where a token request goes, and what of the request depends on that.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    /// The issuer, if it is known: whom assertions are for (the update of RFC 7523 section 3).
    pub(crate) issuer: Option<String>,
    /// In place of what the client was set up with.
    pub(crate) auth: Option<ClientAuth>,
}

impl Place {
    pub(crate) fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, issuer: None, auth: None }
    }

    /// Whom an assertion is for, unless it says otherwise.
    pub(crate) fn audience(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.endpoint.to_string())
    }
}
