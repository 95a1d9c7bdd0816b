//! Calls the setters of a builder with the values of configuration fields.

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{field_error::invalid, value::Value};
use crate::{
    client_credentials::builder::ClientCredentialsBuilder, error::TokenError, secret::Secret,
};

/// A builder whose problems are reported with the name of the field that caused them.
pub(super) struct FieldSetter<C> {
    pub(super) builder: ClientCredentialsBuilder<C>,
}

/// Whether a value may turn up in an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensitivity {
    Public,
    Sensitive,
}

impl<C> FieldSetter<C> {
    pub(super) fn of(
        builder: ClientCredentialsBuilder<C>,
        field: &str,
    ) -> Result<Self, TokenError> {
        match builder.problem() {
            Some(problem) => Err(problem.clone().in_field(field)),
            None => Ok(Self { builder }),
        }
    }

    pub(super) fn set(
        self,
        field: &str,
        set: impl FnOnce(ClientCredentialsBuilder<C>) -> ClientCredentialsBuilder<C>,
    ) -> Result<Self, TokenError> {
        Self::of(set(self.builder), field)
    }

    pub(super) fn text(
        self,
        field: &str,
        value: Value,
        set: impl FnOnce(ClientCredentialsBuilder<C>, String) -> ClientCredentialsBuilder<C>,
    ) -> Result<Self, TokenError> {
        match value.plain(field)? {
            Some(text) => self.set(field, |builder| set(builder, text)),
            None => Ok(self),
        }
    }

    pub(super) fn flag(
        self,
        field: &str,
        value: Value,
        set: impl FnOnce(ClientCredentialsBuilder<C>) -> ClientCredentialsBuilder<C>,
    ) -> Result<Self, TokenError> {
        if value.flag(field)? { self.set(field, set) } else { Ok(self) }
    }

    /// Sends each of the texts as the parameter of the field's name.
    pub(super) fn list(self, field: &str, value: Value) -> Result<Self, TokenError> {
        let texts = value.list(field)?.into_iter();
        texts
            .into_iter()
            .try_fold(self, |setter, text| setter.set(field, |builder| builder.param(field, text)))
    }

    pub(super) fn params(self, field: &str, value: Value) -> Result<Self, TokenError> {
        value.table(field)?.into_iter().try_fold(self, |setter, (name, text)| {
            setter.set(field, |builder| builder.param(name, text.expose_secret()))
        })
    }

    pub(super) fn secret_params(
        self,
        field: &str,
        value: Value,
        secret: impl Fn(SecretString) -> Secret,
    ) -> Result<Self, TokenError> {
        value.table(field)?.into_iter().try_fold(self, |setter, (name, text)| {
            setter.set(field, |builder| builder.secret_param(name, secret(text)))
        })
    }

    pub(super) fn headers(
        self,
        field: &str,
        value: Value,
        sensitivity: Sensitivity,
    ) -> Result<Self, TokenError> {
        value.table(field)?.into_iter().try_fold(self, |setter, (name, text)| {
            let at = format!("{field}.{name}");
            let name = HeaderName::try_from(name);
            let name = name.map_err(|_| invalid(&at, "is not the name of a header"))?;
            let value = HeaderValue::try_from(text.expose_secret());
            let mut value =
                value.map_err(|_| invalid(&at, "has a character that no header can have"))?;
            value.set_sensitive(sensitivity == Sensitivity::Sensitive);
            setter.set(&at, |builder| builder.header(name, value))
        })
    }
}
