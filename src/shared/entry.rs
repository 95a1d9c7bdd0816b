//! What is stored: a token and how long it is good, as bytes.
//!
//! The first byte is the version of the format, and whether the rest is sealed. The rest is JSON.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::seal::Seal;
use crate::token::Token;

/// Larger entries are not looked at, and larger tokens not stored. In bytes.
pub(super) const LARGEST: usize = 64 * 1024;

const PLAIN: u8 = 1;
const SEALED: u8 = 2;

/// A token from a store.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) token: Token,
    /// When it was issued. [`Duration::MAX`] if it does not expire.
    pub(super) lifetime: Duration,
}

/// Why what lies in the store is no token for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    TooLarge,
    /// A later version of this crate has written it, or something else.
    Version,
    /// It is sealed and there is no key, or the reverse, or no key opens it.
    Unopened,
    Malformed,
    /// It was stored under another key.
    OtherKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    prefix: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    scope: Option<Cow<'a, str>>,
    /// In milliseconds. None if the token does not expire.
    lifetime: Option<u64>,
}

impl Entry {
    /// `None` if it is too large to be read again, or the system has no randomness to seal it with.
    pub(super) fn write(&self, key: &str, seal: Option<&Seal>) -> Option<Bytes> {
        let lifetime = match self.lifetime {
            Duration::MAX => None,
            lifetime => Some(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
        };
        let fields = Fields {
            key: key.into(),
            prefix: self.token.prefix().into(),
            token: self.token.expose().into(),
            scope: self.token.granted_scope().map(Into::into),
            lifetime,
        };
        let json = serde_json::to_vec(&fields).ok()?;
        let (format, rest) = match seal {
            None => (PLAIN, json),
            Some(seal) => (SEALED, seal.seal(key, json)?),
        };
        let bytes = [&[format][..], &rest].concat();
        (bytes.len() <= LARGEST).then(|| bytes.into())
    }

    pub(super) fn read(bytes: &[u8], key: &str, seal: Option<&Seal>) -> Result<Self, Ignored> {
        if bytes.len() > LARGEST {
            return Err(Ignored::TooLarge);
        }
        match (bytes.split_first(), seal) {
            (None, _) => Err(Ignored::Malformed),
            (Some((&PLAIN, json)), None) => Self::parse(json, key),
            (Some((&SEALED, sealed)), Some(seal)) => {
                Self::parse(&seal.open(key, sealed).ok_or(Ignored::Unopened)?, key)
            }
            (Some((&PLAIN, _)), Some(_)) | (Some((&SEALED, _)), None) => Err(Ignored::Unopened),
            (Some(_), _) => Err(Ignored::Version),
        }
    }

    fn parse(json: &[u8], key: &str) -> Result<Self, Ignored> {
        let fields: Fields<'_> = serde_json::from_slice(json).map_err(|_| Ignored::Malformed)?;
        if fields.key != key {
            return Err(Ignored::OtherKey);
        }
        let token =
            Token::prefixed(&fields.prefix, &fields.token).map_err(|_| Ignored::Malformed)?;
        let token = match fields.scope {
            Some(scope) => token.scope(&scope),
            None => token,
        };
        let lifetime = fields.lifetime.map_or(Duration::MAX, Duration::from_millis);
        Ok(Self { token, lifetime })
    }
}

impl Ignored {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Version => "version",
            Self::Unopened => "unopened",
            Self::Malformed => "malformed",
            Self::OtherKey => "other_key",
        }
    }
}
