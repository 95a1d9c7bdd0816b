/// What the parameters are called that name and authenticate the client.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { client_id: "client_id".into(), client_secret: "client_secret".into() }
    }
}
