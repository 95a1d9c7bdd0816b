//! The names of the parameters `client_id` and `client_secret`, which some issuers rename.

/// The names of the parameters that name and authenticate the client.
#[derive(Clone, Debug)]
pub(crate) struct ParameterNames {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Default for ParameterNames {
    fn default() -> Self {
        Self { client_id: "client_id".into(), client_secret: "client_secret".into() }
    }
}
