/// What to do about an issuer that refuses, as far as that depends on what was sent.
#[derive(Clone, Debug)]
pub(super) struct Advice {
    /// About `invalid_client`.
    pub(super) client: String,
    /// About `invalid_grant`.
    pub(super) grant: &'static str,
}
