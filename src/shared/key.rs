//! Under which key a token is stored.

use crate::{error::TokenError, jwt::crypto::sha256_hex};

/// A hash of what tells the token from others. Nothing of it can be read from the key.
///
/// A token with the `claims` that an API has asked for lies apart from one without.
pub(super) fn of(
    identity: Option<&str>,
    name: Option<&str>,
    claims: Option<&str>,
) -> Result<String, TokenError> {
    if identity.is_none() && name.is_none() {
        return Err(TokenError::config(
            "the fetcher does not tell its tokens from others, pass to `Shared::name` a text that \
             no other client of the store has",
        ));
    }
    // JSON, so that no two pairs have the same text.
    let text = match claims {
        None => serde_json::json!([identity, name]),
        Some(claims) => serde_json::json!([identity, name, claims]),
    };
    let text = text.to_string();
    Ok(format!("tower-bearer:{}", sha256_hex(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_identity_or_name_is_another_key() {
        let pairs = [
            (Some("a"), None, None),
            (None, Some("a"), None),
            (Some("a"), Some("a"), None),
            (Some("a"), Some(""), None),
            (Some("ab"), Some(""), None),
            (Some("a\",\"b"), None, None),
            (Some("a"), Some("b"), None),
            (Some("a"), Some("b"), Some("{}")),
            (Some("a"), Some("b"), Some("{\"a\":1}")),
        ];
        let mut keys: Vec<_> =
            pairs.map(|(identity, name, claims)| of(identity, name, claims).unwrap()).into();
        assert!(keys.iter().all(|key| key.len() <= 128 && key.starts_with("tower-bearer:")));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), pairs.len());
    }

    #[test]
    fn without_identity_and_name_there_is_no_key() {
        let error = of(None, None, None).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("`Shared::name`"), "{error}");
    }
}
