use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A scripted answer, which a server gives to a request instead of its normal one.
///
/// ```
/// use http::{StatusCode, header};
/// use tower_bearer::testing::Answer;
///
/// let busy = Answer::status(StatusCode::SERVICE_UNAVAILABLE)
///     .header(header::RETRY_AFTER, "2".parse()?)
///     .body("try later");
/// # let _ = busy;
/// # Ok::<_, http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone)]
pub struct Answer {
    pub(super) ending: Ending,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Complete,
    CutInBody,
    CutAtOnce,
    Never,
}

impl Answer {
    /// A complete answer with this status, no headers of its own and an empty body.
    pub fn status(status: StatusCode) -> Self {
        Self { ending: Ending::Complete, status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Reads the request and never answers. The connection stays open until the client or the
    /// server goes away. Status, headers and body have no effect.
    pub fn hang() -> Self {
        Self { ending: Ending::Never, ..Self::status(StatusCode::OK) }
    }

    /// Reads the request and closes the connection before the first byte of an answer. Status,
    /// headers and body have no effect.
    pub fn cut() -> Self {
        Self { ending: Ending::CutAtOnce, ..Self::status(StatusCode::OK) }
    }

    /// Answers 200 with a `Content-Length` that is larger than the body, sends the body, by
    /// default `{`, and closes the connection.
    pub fn cut_in_body() -> Self {
        Self { ending: Ending::CutInBody, ..Self::status(StatusCode::OK).body("{") }
    }

    /// Adds a header. A header of the same name that is there already stays. `Content-Length` follows from
    /// the body, whatever is given here.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Replaces the body. `Content-Type` is not set.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("ending", &self.ending)
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_length", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_headers_and_shows_no_secret() {
        let answer = Answer::cut_in_body()
            .header(http::header::SET_COOKIE, HeaderValue::from_static("s3cr3t"))
            .body("s3cr3t");
        let shown = format!("{answer:?}");
        assert!(shown.contains(r#"headers: ["set-cookie"]"#), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
