//! How responses are read, where they differ from RFC 6749 section 5.1.

use super::json_pointer::JsonPointer;

/// The options of the user. The default follows RFC 6749, leniently.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseOptions {
    pub(crate) access_token: Option<JsonPointer>,
    pub(crate) token_type: Option<JsonPointer>,
    pub(crate) expires_in: Option<JsonPointer>,
    pub(crate) expires_in_unit: ExpiresInUnit,
    pub(crate) zero_expires_in: ZeroExpiresIn,
    pub(crate) strictness: Strictness,
    /// The text before the token in the header of a request, if it is not `Bearer `.
    pub(crate) prefix: Option<String>,
}

/// The unit of `expires_in`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExpiresInUnit {
    #[default]
    Seconds,
    Milliseconds,
}

/// What an `expires_in` of zero means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ZeroExpiresIn {
    #[default]
    Expired,
    Never,
}

/// Whether responses that RFC 6749 does not allow are read or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strictness {
    #[default]
    Lenient,
    Strict,
}

impl ResponseOptions {
    /// Whether they describe responses in another format than that of RFC 6749.
    pub(crate) fn differ_from_rfc(&self) -> bool {
        let pointers = [&self.access_token, &self.token_type, &self.expires_in];
        pointers.into_iter().any(Option::is_some)
            || self.expires_in_unit != ExpiresInUnit::Seconds
            || self.zero_expires_in != ZeroExpiresIn::Expired
    }

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
