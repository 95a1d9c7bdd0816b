//! The value of a configuration field, before its type is known.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::error::TokenError;

/// The value that a loader gave for a field. It is converted only when the field's name is known, so that an
/// error can say it, and without the value, which may be a secret.
#[derive(Clone, Default)]
pub(super) enum Value {
    #[default]
    Absent,
    Text(SecretString),
    Flag(bool),
    Number(u64),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
    /// A negative or a fractional number.
    OtherNumber,
}

impl Value {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn text(self, field: &str) -> Result<Option<SecretString>, TokenError> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            // A loader that made a number of a secret has lost its leading zeros.
            _ => Err(invalid(field, "is no text, put it in quotes")),
        }
    }

    pub(super) fn plain(self, field: &str) -> Result<Option<String>, TokenError> {
        Ok(self.text(field)?.map(|text| text.expose_secret().to_owned()))
    }

    pub(super) fn flag(self, field: &str) -> Result<Option<bool>, TokenError> {
        match self {
            Self::Absent => Ok(None),
            Self::Flag(flag) => Ok(Some(flag)),
            Self::Text(text) if text.expose_secret() == "true" => Ok(Some(true)),
            Self::Text(text) if text.expose_secret() == "false" => Ok(Some(false)),
            _ => Err(invalid(field, "is neither `true` nor `false`, write one of them")),
        }
    }

    pub(super) fn number(self, field: &str) -> Result<Option<u64>, TokenError> {
        let number = match self {
            Self::Absent => return Ok(None),
            Self::Number(number) => Some(number),
            Self::Text(text) => text.expose_secret().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| invalid(field, "is no whole number, write digits"))
    }

    /// Texts, or a single one, which is how the environment has a list.
    pub(super) fn list(self, field: &str) -> Result<Vec<String>, TokenError> {
        let items = match self {
            Self::List(items) => items,
            one => vec![one],
        };
        items.into_iter().filter_map(|item| item.plain(field).transpose()).collect()
    }

    /// Texts by their names.
    pub(super) fn table(self, field: &str) -> Result<Vec<(String, SecretString)>, TokenError> {
        let members = match self {
            Self::Absent => return Ok(Vec::new()),
            Self::Table(members) => members,
            _ => return Err(invalid(field, "is no table, write names and their values")),
        };
        let member = |(name, value): (String, Value)| {
            let text = value.text(&format!("{field}.{name}")).transpose()?;
            Some(text.map(|text| (name, text)))
        };
        members.into_iter().filter_map(member).collect()
    }
}

/// Names the field and does not show its value.
pub(super) fn invalid(field: &str, why: &str) -> TokenError {
    TokenError::config(format!("`{}` {why}", field.escape_debug()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::OtherNumber, Value::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Absent)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut table = BTreeMap::new();
        while let Some(name) = members.next_key()? {
            if table.contains_key(&name) {
                members.next_value::<IgnoredAny>()?;
                return Err(serde::de::Error::custom(format_args!("duplicate field `{name}`")));
            }
            table.insert(name, members.next_value()?);
        }
        Ok(Value::Table(table))
    }
}
