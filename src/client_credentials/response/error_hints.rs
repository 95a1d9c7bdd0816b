//! Hints for an error message, as far as they depend on what was sent.

use std::borrow::Cow;

/// What the user can check if the issuer refuses the request.
#[derive(Clone, Debug)]
pub(crate) struct ErrorHints {
    /// For `invalid_client`.
    pub(crate) client_auth: &'static str,
    /// For `invalid_grant`.
    pub(crate) grant: &'static str,
    /// For credentials that the issuer may decode in another way than they were encoded.
    pub(crate) encoding: Option<&'static str>,
}

impl ErrorHints {
    /// The hint, followed by the one about the encoding if there is one.
    pub(super) fn with_encoding(&self, hint: &'static str) -> Cow<'static, str> {
        match self.encoding {
            Some(encoding) => format!("{hint}: {encoding}").into(),
            None => hint.into(),
        }
    }
}
