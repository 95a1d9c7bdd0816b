use std::{fmt, io, time::Duration};

use http::StatusCode;

use crate::testing::{
    answer::Answer, endpoint::Endpoint, issuer::Issuer, loopback::Loopback, received::Received,
};

const TOKEN_PATH: &str = "/oauth/token";

/// An OAuth 2.0 authorization server that has a token endpoint and nothing else.
///
/// It answers any grant with a new opaque token, `expires_in` and, if the request has one, the
/// scope. It refuses a request without `grant_type` with `invalid_request`, and a scope that breaks
/// the grammar of RFC 6749 section 3.3 with `invalid_scope`. Parameters may be in the body, as
/// a form, or in the query. It answers 404 for other paths.
///
/// Dropping it stops the server and closes its connections.
pub struct AuthorizationServer {
    loopback: Loopback,
    endpoint: Endpoint,
    pub(super) issuer: Issuer,
}

impl AuthorizationServer {
    /// Starts the server on a free port of `127.0.0.1`, in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If no port is free.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub async fn start() -> io::Result<Self> {
        let (endpoint, issuer) = (Endpoint::default(), Issuer::default());
        let handler = {
            let (endpoint, issuer) = (endpoint.clone(), issuer.clone());
            move |request: Received| {
                let (endpoint, issuer) = (endpoint.clone(), issuer.clone());
                async move {
                    if request.uri.path() != TOKEN_PATH {
                        return Answer::status(StatusCode::NOT_FOUND);
                    }
                    endpoint.answer(request, |request| issuer.answer(request)).await
                }
            }
        };
        Ok(Self { loopback: Loopback::start(handler).await?, endpoint, issuer })
    }

    /// The URL of the token endpoint: `http://127.0.0.1:<port>/oauth/token`.
    pub fn token_endpoint(&self) -> String {
        self.loopback.url(TOKEN_PATH)
    }

    /// Registers a client, or gives it another secret.
    ///
    /// Until the first call, every client gets tokens. From then on only registered clients do, and
    /// others are refused with `invalid_client` (RFC 6749 section 5.2). The server looks for credentials
    /// in `Authorization: Basic`, form-encoded or raw, then as `client_id` and `client_secret` in
    /// the body, then in the query. The first place that has credentials decides.
    pub fn client(&self, id: &str, secret: &str) {
        self.issuer.client(id, secret);
    }

    /// How long tokens issued from now on are good for, 300 s by default.
    ///
    /// `expires_in` states it in whole seconds, rounded down. [`ProtectedApi`] refuses the token
    /// after exactly this time.
    ///
    /// [`ProtectedApi`]: crate::testing::ProtectedApi
    pub fn token_lifetime(&self, lifetime: Duration) {
        self.issuer.token_lifetime(lifetime);
    }

    /// How long a token request waits for its answer, scripted or not. None by default.
    pub fn latency(&self, latency: Duration) {
        self.endpoint.latency(latency);
    }

    /// Returns the latest token, to every client, until it expires or is revoked. `expires_in` is what
    /// remains of its lifetime. Some issuers do so. By default each request gets a token of its own.
    pub fn same_token_until_expiry(&self) {
        self.issuer.same_token_until_expiry();
    }

    /// Ends all older tokens of a client when it gets a new one. Some issuers do so, and replicas of a service
    /// that fetch their tokens each for itself end those of the others for ever. A client is known by the id
    /// that it sends. By default a client may have many tokens at once.
    pub fn one_token_per_client(&self) {
        self.issuer.one_token_per_client();
    }

    /// Gives this answer to the next token request. The answers of several calls are given to the
    /// requests in the order of their arrival.
    pub fn answer_next(&self, answer: Answer) {
        self.endpoint.answer_next(answer);
    }

    /// Gives this answer to every token request, until [`answer_normally`](Self::answer_normally). Answers
    /// from [`answer_next`](Self::answer_next) come first.
    pub fn answer_always(&self, answer: Answer) {
        self.endpoint.answer_always(answer);
    }

    /// Forgets all scripted answers. Latency, lifetime and clients stay.
    pub fn answer_normally(&self) {
        self.endpoint.answer_normally();
    }

    /// Revokes a token. One that the server does not know is ignored.
    pub fn revoke(&self, access_token: &str) {
        self.issuer.revoke(access_token);
    }

    /// Revokes every token issued so far.
    pub fn revoke_all(&self) {
        self.issuer.revoke_all();
    }

    /// Whether the server issued this token, and it is neither expired nor revoked.
    pub fn is_active(&self, access_token: &str) -> bool {
        self.issuer.is_active(access_token)
    }

    /// All token requests so far, in the order of their arrival, whatever the answer. A request is
    /// listed as soon as its body has been read, before [`latency`](Self::latency) is over.
    pub fn requests(&self) -> Vec<Received> {
        self.endpoint.requests()
    }

    /// How many different tokens the server has issued. Scripted answers do not count.
    pub fn tokens_issued(&self) -> usize {
        self.issuer.tokens_issued()
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("token_endpoint", &self.token_endpoint())
            .finish_non_exhaustive()
    }
}
