use super::{auth::ClientAuth, endpoint::Endpoint};

/// Where a token request goes, and what of the request depends on that.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    /// The issuer, if it is known: whom assertions are for (the update of RFC 7523 section 3).
    pub(super) issuer: Option<String>,
    /// In place of what the client was set up with.
    pub(super) auth: Option<ClientAuth>,
}

impl Place {
    pub(super) fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, issuer: None, auth: None }
    }

    /// Whom an assertion is for, unless it says otherwise.
    pub(super) fn audience(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.endpoint.to_string())
    }
}
