use std::borrow::Cow;

/// What to do about an issuer that refuses, as far as that depends on what was sent.
#[derive(Clone, Debug)]
pub(crate) struct Advice {
    /// About `invalid_client`.
    pub(crate) client: &'static str,
    /// About `invalid_grant`.
    pub(crate) grant: &'static str,
    /// About what may come of credentials that the issuer does not read as they are meant.
    pub(crate) encoding: Option<&'static str>,
}

impl Advice {
    /// With that on the encoding, if there is any.
    pub(crate) fn on_credentials(&self, advice: &'static str) -> Cow<'static, str> {
        match self.encoding {
            Some(encoding) => format!("{advice}: {encoding}").into(),
            None => advice.into(),
        }
    }
}
