//! Reads `WWW-Authenticate` (RFC 9110 section 11.6.1). It decides whether a new token may help, so
//! what cannot be read is passed over.

use std::mem;

use http::{HeaderMap, header::WWW_AUTHENTICATE};

const BEARER: &str = "Bearer";

/// The errors of a Bearer challenge that another token of the same kind would get too.
const NOT_THE_TOKEN: [&str; 4] = [
    "insufficient_scope",
    "invalid_request",
    "insufficient_claims",
    "insufficient_user_authentication",
];

/// The `error` of the Bearer challenge (RFC 6750 section 3): of several challenges the first one
/// with an `error` counts, and of several `error`s the first one in it.
pub(crate) fn bearer_error(headers: &HeaderMap) -> Option<String> {
    error(headers, BEARER)
}

/// Whether another token may be accepted where one was refused with this error.
pub(crate) fn is_about_the_token(error: &str) -> bool {
    !NOT_THE_TOKEN.contains(&error)
}

/// The `error` of the DPoP challenge (RFC 9449 section 7.1).
#[cfg(feature = "dpop")]
pub(crate) fn dpop_error(headers: &HeaderMap) -> Option<String> {
    error(headers, "DPoP")
}

fn error(headers: &HeaderMap, scheme: &str) -> Option<String> {
    let mut errors = challenges(headers, scheme).filter_map(|challenge| challenge.param("error"));
    errors.find(|error| !error.is_empty())
}

/// A parameter of the Bearer challenge with this `error`. Of several with that name the first counts.
#[cfg(feature = "client-credentials")]
pub(crate) fn bearer_param(headers: &HeaderMap, error: &str, name: &str) -> Option<String> {
    challenges(headers, BEARER)
        .filter(|challenge| challenge.param("error").is_some_and(|other| other == error))
        .find_map(|challenge| challenge.param(name))
}

fn challenges<'a>(headers: &'a HeaderMap, scheme: &'a str) -> impl Iterator<Item = Challenge<'a>> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    lines
        .flat_map(|line| challenges_in(line.as_bytes()))
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme.as_bytes()))
}

struct Challenge<'a> {
    scheme: &'a [u8],
    params: Vec<(&'a [u8], String)>,
}

impl<'a> Challenge<'a> {
    fn of(scheme: &'a [u8]) -> Self {
        Self { scheme, params: Vec::new() }
    }

    fn param(&self, name: &str) -> Option<String> {
        let mut params = self.params.iter();
        let (_, value) = params.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value.clone())
    }
}

/// In order. What comes before the first is a challenge of no scheme.
fn challenges_in(line: &[u8]) -> Vec<Challenge<'_>> {
    let (mut all, mut challenge, mut rest) = (Vec::new(), Challenge::of(b""), line);
    loop {
        rest = skip(rest, |byte| is_blank(byte) || matches!(byte, b',' | b';' | b'='));
        let (word, after) = split(rest, is_word);
        if rest.is_empty() {
            all.push(challenge);
            return all;
        }
        if word.is_empty() {
            rest = read_value(rest).1;
            continue;
        }
        match skip(after, is_blank).strip_prefix(b"=") {
            // `name = value` goes on with a challenge.
            Some(value) => {
                let (value, after) = read_value(skip(value, is_blank));
                challenge.params.push((word, value));
                rest = after;
            }
            // Any other word starts one, or is its token68, which has no parameters either.
            None => {
                all.push(mem::replace(&mut challenge, Challenge::of(word)));
                rest = after;
            }
        }
    }
}

/// A quoted string, unescaped, or what there is up to the next separator. Takes at least one byte,
/// unless a separator or the end comes first.
fn read_value(rest: &[u8]) -> (String, &[u8]) {
    let Some(mut rest) = rest.strip_prefix(b"\"") else {
        let (word, rest) = split(rest, |byte| !is_blank(byte) && !matches!(byte, b',' | b';'));
        let word = word.strip_prefix(b"'").and_then(|w| w.strip_suffix(b"'")).unwrap_or(word);
        return (String::from_utf8_lossy(word).into_owned(), rest);
    };
    let mut text = Vec::new();
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'"', _) => break,
            (b'\\', [escaped, after @ ..]) => {
                text.push(*escaped);
                rest = after;
            }
            _ => text.push(*byte),
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), rest)
}

/// `tchar` (RFC 9110 section 5.6.2), and the slash of a `token68`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip(bytes: &[u8], matches: impl Fn(u8) -> bool) -> &[u8] {
    split(bytes, matches).1
}

fn split(bytes: &[u8], matches: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !matches(*byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(lines: &[&str]) -> Option<String> {
        let values = lines.iter().map(|line| (WWW_AUTHENTICATE, line.parse().unwrap()));
        bearer_error(&values.collect())
    }

    #[test]
    fn reads_tokens_and_quoted_strings() {
        assert_eq!(error(&["Bearer error=invalid_token, x=y"]).as_deref(), Some("invalid_token"));
        assert_eq!(error(&[r#"bearer a="b, c", ERROR = "a\"b""#]).as_deref(), Some("a\"b"));
    }

    #[test]
    fn reads_the_bearer_challenge_among_others() {
        let lines = ["Negotiate YII/+abc==, Basic error=\"no\"", "Bearer error=\"yes\""];
        assert_eq!(error(&lines).as_deref(), Some("yes"));
        assert_eq!(error(&["Bearer realm=x, Basic error=no"]), None);
        assert_eq!(error(&["Bearer, error=yes"]).as_deref(), Some("yes"));
    }

    #[test]
    fn the_first_of_two_errors_counts_even_if_it_is_empty() {
        assert_eq!(error(&["Bearer error=\"\", error=x"]), None);
    }

    #[test]
    fn ends_on_any_input() {
        for line in ["", "=", "@@@===,,,\"", "Bearer error=\"a\\", "Bearer error", "\"", "Bearer="]
        {
            let _ = error(&[line]);
        }
    }
}
