//! A secret in the configuration: a text, or the path of a file that holds it.

use secrecy::{ExposeSecret, SecretString};

use super::value::Value;
use crate::{error::TokenError, secret::Secret};

/// The secret, from whichever of the two fields is given.
pub(super) fn text_or_file(
    (text_field, text): (&str, Value),
    (file_field, file): (&str, Value),
) -> Result<Option<Secret>, TokenError> {
    match (text.text(text_field)?, file.plain(file_field)?) {
        (Some(_), Some(_)) => Err(TokenError::config(format!(
            "`{text_field}` and `{file_field}` are both given, leave one out"
        ))),
        (Some(text), None) => Ok(Some(text.into())),
        (None, Some(path)) => Ok(Some(Secret::file(path))),
        (None, None) => Ok(None),
    }
}

pub(super) fn file(path: SecretString) -> Secret {
    Secret::file(path.expose_secret())
}
