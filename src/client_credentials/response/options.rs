use super::json_pointer::Pointer;

/// How answers are read, where that is not as RFC 6749 section 5.1 has it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) access_token: Option<Pointer>,
    pub(crate) token_type: Option<Pointer>,
    pub(crate) expires_in: Option<Pointer>,
    pub(crate) unit: Unit,
    pub(crate) zero: Zero,
    pub(crate) rigour: Rigour,
    /// What stands before the token in a header, if it is not `Bearer `.
    pub(crate) prefix: Option<String>,
}

/// The unit of `expires_in`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    #[default]
    Seconds,
    Milliseconds,
}

/// What an `expires_in` of zero means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Zero {
    #[default]
    AtOnce,
    Never,
}

/// How much is made of what RFC 6749 does not allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rigour {
    #[default]
    Tolerant,
    Strict,
}

impl Reading {
    /// Answers are expected to be other than RFC 6749 has them.
    pub(crate) fn is_particular(&self) -> bool {
        let places = [&self.access_token, &self.token_type, &self.expires_in];
        places.into_iter().any(Option::is_some)
            || self.unit != Unit::Seconds
            || self.zero != Zero::AtOnce
    }

    /// How failed answers are read: as all of them, but for where a token is not to be shown.
    pub(crate) fn of_failures(&self) -> Self {
        let access_token = self.access_token.clone().filter(|place| !place.is_root());
        Self { access_token, ..Self::default() }
    }
}
