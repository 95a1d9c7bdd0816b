use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::time::Instant;

use crate::testing::{
    answer::Answer,
    clients::{Clients, client_id},
    received::Received,
    tokens::{Older, Reuse, Tokens},
};

/// The registered clients and the tokens that were issued. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Issuer {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    clients: Clients,
    tokens: Tokens,
}

impl Issuer {
    /// The answer to a token request (RFC 6749 section 4.4).
    pub(super) fn answer(&self, request: &Received) -> Answer {
        if parameter(request, "grant_type").is_none() {
            return json(StatusCode::BAD_REQUEST, r#"{"error":"invalid_request"}"#);
        }
        if !self.lock().clients.admit(request) {
            return json(
                StatusCode::UNAUTHORIZED,
                r#"{"error":"invalid_client","error_description":"bad client credentials"}"#,
            )
            .header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Basic realm="testing""#),
            );
        }
        let scope = match parameter(request, "scope") {
            Some(scope) if !is_scope(&scope) => {
                return json(StatusCode::BAD_REQUEST, r#"{"error":"invalid_scope"}"#);
            }
            Some(scope) => format!(r#","scope":"{scope}""#),
            None => String::new(),
        };
        let client = client_id(request);
        let (token, remaining) = self.lock().tokens.issue(client, Instant::now());
        let seconds = remaining.as_secs();
        json(
            StatusCode::OK,
            format!(
                r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}{scope}}}"#
            ),
        )
    }

    pub(super) fn client(&self, id: &str, secret: &str) {
        self.lock().clients.register(id, secret);
    }

    pub(super) fn token_lifetime(&self, lifetime: Duration) {
        self.lock().tokens.lifetime = lifetime;
    }

    pub(super) fn same_token_until_expiry(&self) {
        self.lock().tokens.reuse = Reuse::UntilExpiry;
    }

    pub(super) fn one_token_per_client(&self) {
        self.lock().tokens.older = Older::End;
    }

    pub(super) fn revoke(&self, access_token: &str) {
        self.lock().tokens.revoke(access_token);
    }

    pub(super) fn revoke_all(&self) {
        self.lock().tokens.revoke_all();
    }

    pub(super) fn is_active(&self, access_token: &str) -> bool {
        self.lock().tokens.is_active(access_token, Instant::now())
    }

    pub(super) fn tokens_issued(&self) -> usize {
        self.lock().tokens.issued()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A parameter without a value counts as omitted (RFC 6749 section 3.2).
fn parameter(request: &Received, name: &str) -> Option<String> {
    let parameters = request.form().into_iter().chain(request.query());
    parameters.filter(|(_, value)| !value.is_empty()).find(|(key, _)| key == name).map(|(_, v)| v)
}

/// RFC 6749 section 3.3. A scope that passes needs no escape in JSON.
fn is_scope(scope: &str) -> bool {
    scope.bytes().all(|byte| matches!(byte, b' ' | 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer::status(status)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .body(body)
}
