use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, header};

/// A request as it arrived, with its complete body.
///
/// It holds tokens and secrets as they were sent. `Debug` shows none of them: it leaves out the query,
/// the values of the headers and the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The request target of the request line, usually path and query.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, without its transfer coding.
    pub body: Bytes,
}

impl Received {
    /// The body read as `application/x-www-form-urlencoded`, whatever its `Content-Type`.
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The parameters of the query. Empty if there is no query.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The token in `Authorization: Bearer <token>`. `None` if there is no such header, another
    /// scheme, or more than one `Authorization` value.
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.headers.get_all(header::AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("version", &self.version)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_length", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(uri: &'static str, authorization: &[&'static str]) -> Received {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, http::HeaderValue::from_static(value));
        }
        Received {
            method: Method::POST,
            uri: Uri::from_static(uri),
            version: Version::HTTP_11,
            headers,
            body: Bytes::from_static(b"client_secret=s3cr3t"),
        }
    }

    #[test]
    fn debug_names_headers_and_shows_no_secret() {
        let shown = format!("{:?}", received("/token?key=s3cr3t", &["Bearer s3cr3t"]));
        assert!(shown.contains(r#"path: "/token""#), "{shown}");
        assert!(shown.contains(r#"headers: ["authorization"]"#), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn only_a_single_bearer_value_is_a_token() {
        assert_eq!(received("/", &["bearer a"]).bearer(), Some("a"));
        assert_eq!(received("/", &["Bearer a", "Bearer a"]).bearer(), None);
        assert_eq!(received("/", &["Basic a"]).bearer(), None);
        assert_eq!(received("/", &[]).bearer(), None);
    }
}
