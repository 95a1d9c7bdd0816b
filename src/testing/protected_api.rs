use std::{fmt, io, time::Duration};

use http::{HeaderValue, StatusCode, header};

use crate::testing::{
    answer::Answer, authorization_server::AuthorizationServer, endpoint::Endpoint, issuer::Issuer,
    loopback::Loopback, received::Received,
};

const NO_TOKEN: &str = r#"Bearer realm="testing""#;
const INVALID_TOKEN: &str = r#"Bearer realm="testing", error="invalid_token""#;

/// An API that requires an active token of one [`AuthorizationServer`], at any path and for any
/// method.
///
/// A request with exactly one `Authorization` value, `Bearer` and an active token, gets 200 and
/// its own body back, with its `Content-Type`. Any other gets 401 and a challenge (RFC 6750
/// section 3), which says `error="invalid_token"` if `Authorization` was sent at all.
///
/// Dropping it stops the server and closes its connections.
pub struct ProtectedApi {
    loopback: Loopback,
    endpoint: Endpoint,
}

impl ProtectedApi {
    /// Starts an API on a free port of `127.0.0.1`, in the current tokio runtime. It shares the list of
    /// active tokens with the issuer, and keeps it when the issuer is dropped.
    ///
    /// # Errors
    ///
    /// If no port is free.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub async fn start(issuer: &AuthorizationServer) -> io::Result<Self> {
        let endpoint = Endpoint::default();
        let handler = {
            let (endpoint, issuer) = (endpoint.clone(), issuer.issuer.clone());
            move |request| {
                let (endpoint, issuer) = (endpoint.clone(), issuer.clone());
                async move { endpoint.answer(request, |request| answer(request, &issuer)).await }
            }
        };
        Ok(Self { loopback: Loopback::start(handler).await?, endpoint })
    }

    /// The URL of a path, which begins with a slash: `http://127.0.0.1:<port>/orders`.
    pub fn url(&self, path: &str) -> String {
        self.loopback.url(path)
    }

    /// Answers every request 401 with `error="invalid_token"`, even one with an active token,
    /// until [`answer_normally`](Self::answer_normally). It is the same as
    /// [`answer_always`](Self::answer_always) with that answer.
    pub fn reject_everything(&self) {
        self.answer_always(unauthorized(INVALID_TOKEN));
    }

    /// How long a request waits for its answer, scripted or not. None by default.
    pub fn latency(&self, latency: Duration) {
        self.endpoint.latency(latency);
    }

    /// Gives this answer to the next request, whatever token it carries. The answers of several calls are
    /// given to the requests in the order of their arrival.
    pub fn answer_next(&self, answer: Answer) {
        self.endpoint.answer_next(answer);
    }

    /// Gives this answer to every request, until [`answer_normally`](Self::answer_normally). Answers from
    /// [`answer_next`](Self::answer_next) come first.
    pub fn answer_always(&self, answer: Answer) {
        self.endpoint.answer_always(answer);
    }

    /// Forgets all scripted answers and ends [`reject_everything`](Self::reject_everything).
    /// Latency stays.
    pub fn answer_normally(&self) {
        self.endpoint.answer_normally();
    }

    /// All requests so far, in the order of their arrival, whatever the answer. A request is listed as
    /// soon as its body has been read, before [`latency`](Self::latency) is over.
    pub fn requests(&self) -> Vec<Received> {
        self.endpoint.requests()
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApi").field("url", &self.url("")).finish_non_exhaustive()
    }
}

fn answer(request: &Received, issuer: &Issuer) -> Answer {
    if !request.headers.contains_key(header::AUTHORIZATION) {
        return unauthorized(NO_TOKEN);
    }
    if !request.bearer().is_some_and(|token| issuer.is_active(token)) {
        return unauthorized(INVALID_TOKEN);
    }
    let answer = Answer::status(StatusCode::OK).body(request.body.clone());
    match request.headers.get(header::CONTENT_TYPE) {
        Some(content_type) => answer.header(header::CONTENT_TYPE, content_type.clone()),
        None => answer,
    }
}

fn unauthorized(challenge: &'static str) -> Answer {
    Answer::status(StatusCode::UNAUTHORIZED)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))
        .body("a valid access token is needed")
}
