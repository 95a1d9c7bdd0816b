//! Errors of configuration fields: each names the field and never shows its value.

use crate::error::TokenError;

pub(super) fn missing(field: &str) -> TokenError {
    TokenError::config(format!("`{field}` is missing in the configuration, add it"))
}

pub(super) fn unused(field: &str, beside: &str) -> TokenError {
    TokenError::config(format!("`{field}` is of no use {beside}, leave it out"))
}

pub(super) fn invalid(field: &str, why: &str) -> TokenError {
    TokenError::config(format!("`{}` {why}", field.escape_debug()))
}
