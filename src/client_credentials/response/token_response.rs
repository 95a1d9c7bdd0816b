//! A successful token response (RFC 6749 section 5.1): the token, its lifetime and its scope.

use std::time::Duration;

use super::{
    fields::{Field, Fields},
    options::ResponseOptions,
};
use crate::{
    client_credentials::binding::TokenBinding,
    error::{Kind, TokenError},
    token::Token,
};

/// What means Bearer, in lower case. The last three are those of Apigee and eBay.
const BEARER: [&str; 5] =
    ["", "bearer", "bearertoken", "application access token", "user access token"];

const LONGEST_LIFETIME: f64 = i32::MAX as f64;

pub(super) fn token(
    fields: &Fields,
    options: &ResponseOptions,
    binding: Option<&dyn TokenBinding>,
) -> Result<Token, TokenError> {
    let access_token = access_token(fields)?;
    let token = match (is_dpop(&fields.token_type)?, binding) {
        (true, Some(binding)) => {
            check_strictly(access_token, fields, "dpop", options)?;
            binding.token(access_token)
        }
        (true, None) => {
            return Err(unsupported(
                "the issuer gave a DPoP token, which was not asked for, \
                 register the client for bearer tokens",
            ));
        }
        (false, binding) => {
            binding.map_or(Ok(()), |binding| binding.check_bearer())?;
            check_strictly(access_token, fields, "bearer", options)?;
            match &options.prefix {
                None => Token::bearer(access_token),
                Some(prefix) => Token::prefixed(prefix, access_token),
            }
        }
    };
    let mut token = token.map_err(|_| {
        TokenError::new(
            Kind::InvalidToken,
            "the issuer's `access_token` has a space, a control or a non-ASCII character \
             and cannot be sent, report it to the issuer",
        )
    })?;
    if let Some(lifetime) = lifetime(&fields.expires_in, options) {
        token = token.expires_in(lifetime);
    }
    if let Some(scope) = scope(&fields.scope) {
        token = token.scope(&scope);
    }
    Ok(token)
}

fn access_token(fields: &Fields) -> Result<&str, TokenError> {
    match &fields.access_token {
        Field::Text(token) if !token.is_empty() => Ok(token),
        Field::Absent | Field::Text(_) => Err(malformed("no `access_token`")),
        _ => Err(malformed("an `access_token` that is no string")),
    }
}

/// With `strict`, refuses what is tolerated otherwise, and RFC 6749 section 5.1 and RFC 6750 section 2.1 do not
/// allow.
fn check_strictly(
    access_token: &str,
    fields: &Fields,
    token_type: &str,
    options: &ResponseOptions,
) -> Result<(), TokenError> {
    if !options.strict {
        return Ok(());
    }
    let is_named =
        matches!(&fields.token_type, Field::Text(name) if name.eq_ignore_ascii_case(token_type));
    if !is_named {
        return Err(malformed("no `token_type` of `Bearer`, which `strict` wants"));
    }
    let is_lifetime = match &fields.expires_in {
        Field::Absent => true,
        Field::Number(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    if !is_lifetime {
        return Err(malformed("an `expires_in` that is no whole number, which `strict` wants"));
    }
    let unpadded = access_token.trim_end_matches('=');
    let is_b64token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if unpadded.is_empty() || !unpadded.bytes().all(is_b64token) {
        return Err(TokenError::new(
            Kind::InvalidToken,
            "the issuer's `access_token` is none of RFC 6750, \
             leave out `strict` if the API takes it",
        ));
    }
    Ok(())
}

/// Whether the token is bound to a key (RFC 9449 section 5). The other ones are bearer tokens.
fn is_dpop(token_type: &Field) -> Result<bool, TokenError> {
    let name = match token_type {
        Field::Absent => return Ok(false),
        Field::Text(name) => name.trim().to_ascii_lowercase(),
        _ => return Err(malformed("a `token_type` that is no string")),
    };
    match &*name {
        "dpop" => Ok(true),
        _ if BEARER.contains(&&*name) => Ok(false),
        _ => Err(unsupported(
            "the issuer gave a token that is not a bearer token, \
             register the client for bearer tokens",
        )),
    }
}

fn unsupported(message: &'static str) -> TokenError {
    TokenError::new(Kind::UnsupportedTokenType, message)
}

/// A lifetime, in any notation that issuers have for it. One that makes no sense is unknown: the
/// token itself may be fine.
fn lifetime(expires_in: &Field, options: &ResponseOptions) -> Option<Duration> {
    let (Field::Number(text) | Field::Text(text)) = expires_in else { return None };
    let text = text.trim();
    // Keeps out the `inf` and `NaN` that `f64` takes as well.
    if !text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    if options.zero_means_never && number == 0.0 {
        return Some(Duration::MAX);
    }
    let seconds = if options.expires_in_millis { number / 1000.0 } else { number };
    (seconds >= 0.0).then(|| Duration::from_secs(seconds.min(LONGEST_LIFETIME) as u64))
}

fn scope(scope: &Field) -> Option<String> {
    let words: Vec<&str> = match scope {
        Field::Text(text) => text.split_ascii_whitespace().collect(),
        Field::List(list) => list.iter().flat_map(|item| item.split_ascii_whitespace()).collect(),
        _ => return None,
    };
    (!words.is_empty()).then(|| words.join(" "))
}

fn malformed(what: &str) -> TokenError {
    let message = format!("the issuer's answer has {what}, check the URL of the token endpoint");
    TokenError::new(Kind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_read_in_any_notation_and_never_fails() {
        for (text, seconds) in [
            ("3600", Some(3600)),
            (" 3600 ", Some(3600)),
            ("3599.99", Some(3599)),
            ("3.6e3", Some(3600)),
            ("3.6E+3", Some(3600)),
            ("3600.", Some(3600)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.4", Some(0)),
            ("2147483648", Some(2_147_483_647)),
            ("99999999999999999999999", Some(2_147_483_647)),
            ("1e999", Some(2_147_483_647)),
            ("-1", None),
            ("-0.1", None),
            ("-1e999", None),
            ("", None),
            ("inf", None),
            ("Infinity", None),
            ("nan", None),
            ("0x10", None),
            ("1,000", None),
            ("1h", None),
            ("1 h", None),
            (".", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(
                lifetime(&Field::Text(text.into()), &ResponseOptions::default()),
                expected,
                "{text}"
            );
        }
        assert_eq!(lifetime(&Field::List(vec!["60".into()]), &ResponseOptions::default()), None);
    }
}
