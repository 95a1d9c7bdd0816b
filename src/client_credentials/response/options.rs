use super::json_pointer::JsonPointer;

/// How answers are read, where that is not as RFC 6749 section 5.1 has it.
#[derive(Debug, Default)]
pub(crate) struct ResponseOptions {
    pub(crate) access_token: Option<JsonPointer>,
    pub(crate) token_type: Option<JsonPointer>,
    pub(crate) expires_in: Option<JsonPointer>,
    pub(crate) expires_in_unit: ExpiresInUnit,
    pub(crate) zero_expires_in: ZeroExpiresIn,
    pub(crate) strictness: Strictness,
    /// What stands before the token in a header, if it is not `Bearer `.
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

/// How much is made of what RFC 6749 does not allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strictness {
    #[default]
    Lenient,
    Strict,
}

impl ResponseOptions {
    /// Answers are expected to be other than RFC 6749 has them.
    pub(crate) fn differ_from_rfc(&self) -> bool {
        let pointers = [&self.access_token, &self.token_type, &self.expires_in];
        pointers.into_iter().any(Option::is_some)
            || self.expires_in_unit != ExpiresInUnit::Seconds
            || self.zero_expires_in != ZeroExpiresIn::Expired
    }

    /// How failed answers are read: as all of them, but for where a token is not to be shown.
    pub(crate) fn for_error_responses(&self) -> Self {
        let access_token = self.access_token.clone().filter(|pointer| !pointer.is_root());
        Self { access_token, ..Self::default() }
    }
}
