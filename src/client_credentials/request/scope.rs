//! The `scope` parameter (RFC 6749 section 3.3).

use crate::error::TokenError;

/// A scope in its usual form (RFC 6749 section 3.3), or `None` if it is empty.
pub(crate) fn parse(scope: &str) -> Result<Option<String>, TokenError> {
    if scope.trim().is_empty() {
        return Ok(None);
    }
    if !scope.chars().all(is_scope_char) {
        return Err(TokenError::config(
            "the scope has a character that scopes cannot have, \
             separate its parts by single spaces and leave out quotes and backslashes",
        ));
    }
    Ok(Some(scope.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")))
}

pub(crate) fn is_scope_char(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_list_of_printable_words() {
        assert_eq!(parse("a  b:c/.default ").expect("a scope").as_deref(), Some("a b:c/.default"));
        assert_eq!(parse(" \n").expect("no scope"), None);
        for bad in ["a\"b", "a\\b", "a\tb", "a\nb", "é", "a\u{7f}"] {
            assert!(parse(bad).expect_err(bad).is_config());
        }
    }
}
