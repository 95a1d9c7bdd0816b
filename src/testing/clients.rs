use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::header;

use crate::testing::received::Received;

/// The clients that get tokens: every client, until the first is registered.
#[derive(Default)]
pub(super) struct Clients {
    secrets: HashMap<String, String>,
}

impl Clients {
    pub(super) fn register(&mut self, id: &str, secret: &str) {
        self.secrets.insert(id.to_owned(), secret.to_owned());
    }

    pub(super) fn admit(&self, request: &Received) -> bool {
        self.secrets.is_empty()
            || presented(request)
                .iter()
                .any(|(id, secret)| self.secrets.get(id).is_some_and(|known| known == secret))
    }
}

/// The id that the request names, with a secret or without.
pub(super) fn client_id(request: &Received) -> Option<String> {
    if let Some((id, _)) = presented(request).into_iter().next() {
        return Some(id);
    }
    let parameters = request.form().into_iter().chain(request.query());
    parameters.filter(|(name, _)| name == "client_id").map(|(_, id)| id).next()
}

/// The credentials in the first place that has any: `Authorization`, body, query. There are several if they
/// can be decoded in several ways.
fn presented(request: &Received) -> Vec<(String, String)> {
    if let Some(value) = request.headers.get(header::AUTHORIZATION) {
        return value.to_str().map(basic).unwrap_or_default();
    }
    pair(&request.form()).or_else(|| pair(&request.query())).into_iter().collect()
}

/// Some clients form-encode id and secret first, as RFC 6749 section 2.3.1 says, and some do not. Both are
/// accepted.
fn basic(authorization: &str) -> Vec<(String, String)> {
    let userinfo = authorization
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|decoded| String::from_utf8(decoded).ok());
    let Some((id, secret)) = userinfo.as_deref().and_then(|userinfo| userinfo.split_once(':'))
    else {
        return Vec::new();
    };
    let raw = (id.to_owned(), secret.to_owned());
    let decoded = form_decoded(id).zip(form_decoded(secret));
    decoded.into_iter().chain([raw]).collect()
}

fn form_decoded(value: &str) -> Option<String> {
    if value.contains('&') {
        return None;
    }
    let field = format!("={value}");
    form_urlencoded::parse(field.as_bytes()).next().map(|(_, value)| value.into_owned())
}

fn pair(parameters: &[(String, String)]) -> Option<(String, String)> {
    let value = |name| {
        parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.clone())
    };
    value("client_id").zip(value("client_secret"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(userinfo: &str) -> Vec<(String, String)> {
        basic(&format!("Basic {}", BASE64_STANDARD.encode(userinfo)))
    }

    fn credentials(id: &str, secret: &str) -> (String, String) {
        (id.to_owned(), secret.to_owned())
    }

    #[test]
    fn basic_is_read_form_encoded_and_raw() {
        assert_eq!(
            readings("a%3Ab:s+e%26c"),
            [credentials("a:b", "s e&c"), credentials("a%3Ab", "s+e%26c")]
        );
    }

    #[test]
    fn a_raw_secret_may_hold_any_character() {
        assert_eq!(readings("id:a&b=c:%zz"), [credentials("id", "a&b=c:%zz")]);
        assert!(readings("id:a=b").contains(&credentials("id", "a=b")));
    }

    #[test]
    fn what_is_not_basic_presents_nothing() {
        assert!(basic("Bearer aWQ6c2VjcmV0").is_empty());
        assert!(basic("Basic !").is_empty());
        assert!(readings("no colon").is_empty());
    }
}
