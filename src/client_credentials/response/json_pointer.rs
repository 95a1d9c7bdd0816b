//! JSON pointers (RFC 6901), which name a value in a JSON response.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::TokenError;

/// The place of a value in a JSON document.
#[derive(Clone, Debug)]
pub(crate) struct JsonPointer {
    tokens: Vec<String>,
}

/// An object that has the same member twice.
pub(super) struct DuplicateMember;

impl JsonPointer {
    pub(crate) fn parse(pointer: &str) -> Result<Self, TokenError> {
        let is_sound = pointer.is_empty() || pointer.starts_with('/');
        let mut escapes = pointer.split('~').skip(1);
        if !is_sound || escapes.any(|escape| !escape.starts_with(['0', '1'])) {
            return Err(TokenError::config(
                "a place in the answer is no JSON pointer, write it as `/data/access_token` \
                 with `~0` for `~` and `~1` for `/`",
            ));
        }
        let tokens = pointer.split('/').skip(1);
        Ok(Self { tokens: tokens.map(|t| t.replace("~1", "/").replace("~0", "~")).collect() })
    }

    #[cfg(feature = "shared")]
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// A member of the document.
    pub(super) fn to_member(name: &str) -> Self {
        Self { tokens: vec![name.to_owned()] }
    }

    /// The document itself.
    pub(super) fn is_root(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The value, or `None` if there is none in that place. The document is sound JSON.
    pub(super) fn find<'a>(
        &self,
        document: &'a RawValue,
    ) -> Result<Option<&'a RawValue>, DuplicateMember> {
        let mut found = document;
        for token in &self.tokens {
            let next = match found.get().as_bytes().first() {
                Some(b'{') => member(found, token)?,
                Some(b'[') => element(found, token),
                _ => None,
            };
            let Some(next) = next else { return Ok(None) };
            found = next;
        }
        Ok(Some(found))
    }
}

fn element<'a>(array: &'a RawValue, index: &str) -> Option<&'a RawValue> {
    let elements: Vec<&RawValue> = serde_json::from_str(array.get()).ok()?;
    elements.get(index.parse::<usize>().ok()?).copied()
}

fn member<'a>(object: &'a RawValue, name: &str) -> Result<Option<&'a RawValue>, DuplicateMember> {
    let mut json = serde_json::Deserializer::from_str(object.get());
    json.deserialize_map(MemberVisitor { name }).map_err(|_| DuplicateMember)
}

/// Reads one member of an object and passes over the others.
struct MemberVisitor<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for MemberVisitor<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(is_it) = members.next_key_seed(NameMatches(self.name))? {
            if !is_it {
                members.next_value::<IgnoredAny>()?;
            } else if found.replace(members.next_value()?).is_some() {
                return Err(de::Error::custom("the same member twice"));
            }
        }
        Ok(found)
    }
}

struct NameMatches<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for NameMatches<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for NameMatches<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(document: &str, pointer: &str) -> Option<String> {
        let document: &RawValue = serde_json::from_str(document).expect("JSON");
        let pointer = JsonPointer::parse(pointer).expect(pointer);
        pointer.find(document).ok().expect("no member twice").map(|found| found.get().into())
    }

    #[test]
    fn values_are_found_as_in_rfc_6901() {
        let document =
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"~1":9,"k\"l":6,"e":1e999,"x":{}}"#;
        for (pointer, expected) in [
            ("", Some(document)),
            ("/foo/0", Some("\"bar\"")),
            ("/", Some("0")),
            ("/a~1b", Some("1")),
            ("/m~0n", Some("8")),
            ("/~01", Some("9")),
            ("/k\"l", Some("6")),
            ("/e", Some("1e999")),
            ("/foo/2", None),
            ("/foo/bar", None),
            ("/foo/-", None),
            ("/x/y", None),
            ("/e/y", None),
        ] {
            assert_eq!(find(document, pointer).as_deref(), expected, "{pointer}");
        }
        assert_eq!(find("\"text\"", "").as_deref(), Some("\"text\""));
    }

    #[test]
    fn a_member_twice_is_found_out_only_on_the_way() {
        let find = |pointer: &str| {
            let document = r#"{"a":{"b":1,"b":2},"c":1,"a":{}}"#;
            let document: &RawValue = serde_json::from_str(document).expect("JSON");
            JsonPointer::parse(pointer).expect(pointer).find(document).is_ok()
        };
        assert!(!find("/a"));
        assert!(!find("/a/b"));
        assert!(find("/c"));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for bad in ["access_token", "data/token", "$.data", "/a~", "/a~2b", " "] {
            assert!(JsonPointer::parse(bad).expect_err(bad).is_config());
        }
    }
}
