//! How responses are read, where they differ from RFC 6749 section 5.1.

use super::json_pointer::JsonPointer;

/// The options of the user. The default follows RFC 6749, leniently.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseOptions {
    pub(crate) access_token: Option<JsonPointer>,
    pub(crate) token_type: Option<JsonPointer>,
    pub(crate) expires_in: Option<JsonPointer>,
    pub(crate) expires_in_millis: bool,
    pub(crate) zero_means_never: bool,
    /// Refuses what RFC 6749 does not allow, but for the places above.
    pub(crate) strict: bool,
    /// The text before the token in the header of a request, if it is not `Bearer `.
    pub(crate) prefix: Option<String>,
}

impl ResponseOptions {
    /// What tells which token of a response is used, and how it is sent.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> serde_json::Value {
        let access_token = self.access_token.as_ref().map(JsonPointer::tokens);
        serde_json::json!({ "access_token": access_token, "prefix": self.prefix })
    }

    /// The options for error responses: only the place of a token, which must not be shown.
    pub(super) fn for_error_responses(&self) -> Self {
        let access_token = self.access_token.clone().filter(|pointer| !pointer.is_root());
        Self { access_token, ..Self::default() }
    }
}
