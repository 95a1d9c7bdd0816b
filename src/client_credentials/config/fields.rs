//! The fields that describe one client, by their names.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::value::Value;
use crate::{error::TokenError, secret::Secret};

/// All fields there are, and what each means for a client that has defaults.
const FIELDS: [(&str, Kind); 49] = [
    ("token_endpoint", Kind::Identity),
    ("issuer", Kind::Identity),
    ("revocation_endpoint", Kind::Secret),
    ("mtls_endpoint_alias", Kind::Common),
    ("pick_auth_method", Kind::Common),
    ("client_id", Kind::Identity),
    ("client_id_file", Kind::Identity),
    ("grant_type", Kind::Common),
    ("username", Kind::Common),
    ("password", Kind::Secret),
    ("password_file", Kind::Secret),
    ("scope", Kind::Common),
    ("scope_separator", Kind::Common),
    ("audience", Kind::Common),
    ("resource", Kind::Common),
    ("params", Kind::Common),
    ("secret_params", Kind::Secret),
    ("secret_param_files", Kind::Secret),
    ("headers", Kind::Common),
    ("secret_headers", Kind::Secret),
    ("placement", Kind::Common),
    ("client_id_in_body", Kind::Common),
    ("client_id_name", Kind::Common),
    ("client_secret_name", Kind::Common),
    ("token_at", Kind::Common),
    ("token_type_at", Kind::Common),
    ("expires_in_at", Kind::Common),
    ("expires_in_millis", Kind::Common),
    ("zero_means_never", Kind::Common),
    ("strict", Kind::Common),
    ("token_prefix", Kind::Common),
    ("dpop", Kind::Common),
    ("accept_bearer", Kind::Common),
    ("response_limit", Kind::Common),
    ("allow_http", Kind::Common),
    ("token_endpoint_auth_method", Kind::Identity),
    ("client_secret", Kind::Secret),
    ("client_secret_file", Kind::Secret),
    ("authorization", Kind::Secret),
    ("authorization_file", Kind::Secret),
    ("assertion_file", Kind::Secret),
    ("client_assertion_type", Kind::Secret),
    ("private_key", Kind::Secret),
    ("private_key_file", Kind::Secret),
    ("alg", Kind::Secret),
    ("kid", Kind::Secret),
    ("assertion_audience", Kind::Secret),
    ("assertion_lifetime", Kind::Secret),
    ("assertion_claims", Kind::Secret),
];

const NAMES: [&str; FIELDS.len()] = {
    let mut names = [""; FIELDS.len()];
    let mut n = 0;
    while n < names.len() {
        names[n] = FIELDS[n].0;
        n += 1;
    }
    names
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says who the client is, or to whom.
    Identity,
    /// Holds a secret, goes with one, or says where one is sent.
    Secret,
    Common,
}

/// The fields that are there. Each one that is used is taken out, so that the rest is known to be of no use.
#[derive(Clone, Default)]
pub(super) struct Fields(BTreeMap<&'static str, Value>);

impl Fields {
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value, &str) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        debug_assert!(NAMES.contains(&name), "{name}");
        read(self.0.remove(name).unwrap_or_default(), name)
    }

    /// The secret, from whichever is given: its text, or the path of its file.
    pub(super) fn take_secret(
        &mut self,
        text_name: &'static str,
        file_name: &'static str,
    ) -> Result<Option<Secret>, TokenError> {
        match (self.take(text_name, Value::text)?, self.take(file_name, Value::plain)?) {
            (Some(_), Some(_)) => Err(both(text_name, file_name)),
            (Some(text), None) => Ok(Some(text.into())),
            (None, Some(path)) => Ok(Some(Secret::file(path))),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn check_used_up(&self) -> Result<(), TokenError> {
        match self.0.keys().next() {
            Some(field) => {
                Err(unused(field, "with this `token_endpoint_auth_method` and `grant_type`"))
            }
            None => Ok(()),
        }
    }

    /// Fills in the fields that the client does not have.
    ///
    /// A secret is for one client at one issuer. A client that says of itself who it is gets none, so that
    /// a forgotten field does not send a secret elsewhere.
    pub(super) fn inherit(&mut self, defaults: &Self) {
        let has = |kind| FIELDS.iter().any(|(name, of)| *of == kind && self.0.contains_key(name));
        let has_identity = has(Kind::Identity);
        let is_secret = |name| FIELDS.contains(&(name, Kind::Secret));
        let inherited: Vec<_> = defaults
            .0
            .iter()
            .filter(|(name, _)| !(has_identity && is_secret(name)))
            .filter(|(name, _)| !self.0.keys().any(|own| own == *name || exclude(own, name)))
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        self.0.extend(inherited);
    }
}

/// A client has one of them at most.
fn exclude(one: &str, other: &str) -> bool {
    one.strip_suffix("_file") == Some(other)
        || other.strip_suffix("_file") == Some(one)
        || [(one, other), (other, one)].contains(&("token_endpoint", "issuer"))
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("ClientCredentialsConfig", &NAMES, FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of the fields of a client")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(Name(name)) = members.next_key()? {
            if fields.insert(name, members.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(name));
            }
        }
        fields.retain(|_, value: &mut Value| !value.is_absent());
        Ok(Fields(fields))
    }
}

/// A name that there is. Loaders say where another one stands.
struct Name(&'static str);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = NAMES.into_iter().find(|known| *known == name);
        known.map(Self).ok_or_else(|| D::Error::unknown_field(&name, &NAMES))
    }
}

// Errors name the field and never show its value.

pub(super) fn missing(field: &str) -> TokenError {
    TokenError::config(format!("`{field}` is missing in the configuration, add it"))
}

pub(super) fn both(one: &str, other: &str) -> TokenError {
    TokenError::config(format!("`{one}` and `{other}` are both given, leave one out"))
}

pub(super) fn unused(field: &str, beside: &str) -> TokenError {
    TokenError::config(format!("`{field}` is of no use {beside}, leave it out"))
}
