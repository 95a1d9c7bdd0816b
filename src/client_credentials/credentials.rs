//! `ClientCredentials`: the fetcher, and its attempts to get a token.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::retry::{is_about_a_secret, is_worth_another_attempt, pause};
use crate::{
    client_credentials::{
        endpoint::{EndpointOptions, EndpointSource, EndpointUrl, ResolvedEndpoint},
        message::{HttpClient, transport_error},
        request::{PreparedRequest, TokenRequest},
        response::{ResponseOptions, ResponseReader},
    },
    error::{BoxError, TokenError},
    fetcher::{FetchContext, TokenFetcher},
    secret::{Redactor, ResolvedSecrets},
    token::Token,
};

/// Gets tokens by the OAuth 2.0 client credentials grant (RFC 6749 section 4.4).
///
/// It works with any tower HTTP client that takes `Request<Full<Bytes>>`, and sends the token
/// request through it as it is: timeouts, proxies and TLS certificates are that client's. Do not
/// hand in a client that adds this very token: it would wait for itself, and gets an error.
///
/// ```
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower_bearer::{ClientCredentials, TokenCache};
///
/// # fn main() -> Result<(), tower_bearer::TokenError> {
/// # let https = hyper_util::client::legacy::connect::HttpConnector::new();
/// let client = Client::builder(TokioExecutor::new()).build(https);
/// let credentials = ClientCredentials::builder(
///     client,
///     "https://issuer.example/oauth/token",
///     "orders-service",
///     "7Fjfp0ZBr1KtDRbnfVdmIw",
/// )
/// .scope("orders:read")
/// .build()?;
/// let tokens = TokenCache::new(credentials);
/// # Ok(()) }
/// ```
///
/// For several audiences or tenants, [`derive`](Self::derive) copies from one of these.
///
/// # What is sent
///
/// One `POST` with a form and `Accept: application/json`, authenticated as [`ClientAuth`] says. The
/// [builder](crate::ClientCredentialsBuilder) has setters for what other issuers want. A
/// `refresh_token` in an answer is ignored: the same request is sent again for the next token.
///
/// A request that got no answer, because the connection broke, or one that says it is worth
/// another attempt (408, 425, most of 5xx, `temporarily_unavailable`, `server_error`), is sent
/// once more after 100 to 300 ms. One with `Retry-After` is not, nor 429, `slow_down` or any
/// refusal.
///
/// Secrets that are read from a file or by a closure are read for each attempt. A request that was
/// refused for a secret which has changed since is sent once more at once, unless the answer has
/// `Retry-After` or is 429. That secret is the grant's for `invalid_grant`, else the client's.
///
/// Redirects are not followed, as they could carry the secret elsewhere. Turn that off in HTTP
/// clients that do it by themselves, as reqwest does.
///
/// # What is understood
///
/// JSON and forms, whatever `Content-Type` says. A missing `token_type` means Bearer. `expires_in`
/// may be a number or a string, and is unknown where it makes no sense. An `error` wins over a
/// token in the same answer, and a token in an answer that is not 2xx is not used.
///
/// [`ClientAuth`]: crate::ClientAuth
pub struct ClientCredentials<C> {
    // `Mutex`, since clients such as `BoxCloneService` are not `Sync` and fetchers have to be.
    pub(super) client: Mutex<C>,
    pub(super) endpoint_source: EndpointSource,
    pub(super) endpoint_options: EndpointOptions,
    pub(super) revocation_endpoint: Option<EndpointUrl>,
    pub(super) request: TokenRequest,
    pub(super) response_options: ResponseOptions,
    pub(super) response_limit: usize,
}

impl<C> ClientCredentials<C> {
    pub(super) fn client(&self) -> C
    where
        C: Clone,
    {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<C: HttpClient> ClientCredentials<C> {
    async fn read_secrets(&self) -> Result<ResolvedSecrets, TokenError> {
        ResolvedSecrets::read(self.request.secrets()).await
    }

    /// With a second request, if the issuer asks for a nonce in the proof (RFC 9449 section 8).
    async fn attempt(
        &self,
        context: &FetchContext,
        secrets: &ResolvedSecrets,
    ) -> Result<Token, TokenError> {
        let mut wants_nonce = false;
        match self.attempt_once(context, secrets, &mut wants_nonce).await {
            Err(_) if wants_nonce => self.attempt_once(context, secrets, &mut wants_nonce).await,
            outcome => outcome,
        }
    }

    async fn attempt_once(
        &self,
        context: &FetchContext,
        secrets: &ResolvedSecrets,
        wants_nonce: &mut bool,
    ) -> Result<Token, TokenError> {
        let endpoint = self.endpoint().await?;
        let prepared =
            self.request.prepare(&endpoint, secrets, context.claims(), SystemTime::now())?;
        let PreparedRequest { request, redactor, hints, proof } = prepared;
        let reader = ResponseReader {
            options: &self.response_options,
            binding: self.request.binding.as_deref(),
            redactor,
            hints,
        };
        // A fetch that runs into its timeout ends while the request is under way.
        self.endpoint_source.mark(false);
        let outcome = match self.client().exchange(request, self.response_limit).await {
            Ok(response) => {
                let is_nonce_new = proof.is_some_and(|note_nonce| note_nonce(response.headers()));
                let outcome = reader.read(response, SystemTime::now());
                let code = outcome.as_ref().err().and_then(TokenError::code);
                *wants_nonce = is_nonce_new && code == Some("use_dpop_nonce");
                outcome
            }
            Err(error) => Err(no_response("token", &endpoint.url, error, &reader.redactor)),
        };
        let is_in_doubt = |error: &TokenError| error.is_refused() || error.status().is_none();
        if *wants_nonce || !outcome.as_ref().is_err_and(is_in_doubt) {
            self.endpoint_source.mark(true);
        }
        outcome
    }

    async fn endpoint(&self) -> Result<Arc<ResolvedEndpoint>, TokenError> {
        match &self.endpoint_source {
            EndpointSource::Fixed(endpoint) => Ok(endpoint.clone()),
            EndpointSource::Discovered(discovered) => {
                let resolve = |issuer: &_, metadata: &_| {
                    let (options, auth) = (self.endpoint_options, self.request.client_auth());
                    let endpoint = options.resolve(issuer, metadata, auth)?;
                    self.request.check(&endpoint)?;
                    Ok(endpoint)
                };
                discovered.endpoint(|| self.client(), self.response_limit, resolve).await
            }
        }
    }

    /// With a second attempt where that is worth it.
    async fn attempts(
        &self,
        context: &FetchContext,
        secrets: &mut ResolvedSecrets,
    ) -> Result<Token, TokenError> {
        let first = match self.read_secrets().await {
            Ok(read) => {
                *secrets = read;
                self.attempt(context, secrets).await
            }
            Err(error) => Err(error),
        };
        match first {
            Err(error) if is_worth_another_attempt(&error) => {
                tokio::time::sleep(pause()).await;
                *secrets = self.read_secrets().await?;
                self.attempt(context, secrets).await
            }
            outcome => outcome,
        }
    }
}

/// Cancel safe: nothing is lost but the request under way.
impl<C: HttpClient> TokenFetcher for ClientCredentials<C> {
    type Error = TokenError;

    async fn fetch(&self, context: FetchContext) -> Result<Token, TokenError> {
        let mut secrets = ResolvedSecrets::default();
        let is_about_a_secret = |error: &TokenError| {
            is_about_a_secret(error, self.request.is_grant_refused_with(error.code()))
        };
        match self.attempts(&context, &mut secrets).await {
            Err(error) if is_about_a_secret(&error) && !secrets.is_empty() => {
                let suspects = self.request.suspect_secrets(error.code());
                match self.read_secrets().await {
                    Ok(now) if now.differs_in(&suspects, &secrets) => {
                        self.attempt(&context, &now).await
                    }
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    async fn revoke(&self, token: Token) -> Result<(), TokenError> {
        let endpoint = self.endpoint().await?;
        let url = self.revocation_endpoint.as_ref().or(endpoint.revocation.as_ref());
        let url = url.ok_or_else(|| {
            TokenError::config(
                "there is no revocation endpoint, name one with `revocation_endpoint`, \
                 as the issuer's metadata has none",
            )
        })?;
        let secrets = self.read_secrets().await?;
        let prepared = self.request.prepare_revocation(
            &endpoint,
            url,
            &secrets,
            token.expose(),
            SystemTime::now(),
        )?;
        let PreparedRequest { request, redactor, hints, .. } = prepared;
        let reader =
            ResponseReader { options: &self.response_options, binding: None, redactor, hints };
        match self.client().exchange(request, self.response_limit).await {
            Ok(response) => reader.read_revocation(response, SystemTime::now()),
            Err(error) => Err(no_response("revocation", url, error, &reader.redactor)),
        }
    }

    /// A hash of the token endpoint or the issuer, the client's id, the grant, the scope, the parameters and the
    /// headers, and of which token of a response is used. No secret is in it.
    ///
    /// The order of scopes, parameters and headers does not matter. Of a [`Jwt`](crate::Jwt), as the client's
    /// authentication or as the grant, the claims count.
    ///
    /// `None` if only a secret tells the client, or whom the token is for, from others: an id that is empty or
    /// is read for each request, [`ClientAuth::header`](crate::ClientAuth::header), a client that authenticates by
    /// a certificate or not at all, an assertion made by others, a token exchange, a `secret_param`, a header that
    /// is marked sensitive.
    #[cfg(feature = "shared")]
    fn identity(&self) -> Option<String> {
        let endpoint = self.endpoint_source.identity();
        let (request, response) = (self.request.identity()?, self.response_options.identity());
        // A hash, as the endpoint's query and the headers are not to be seen.
        let identity = canonical(&serde_json::json!([endpoint, request, response]));
        Some(crate::jwt::crypto::sha256_hex(&identity))
    }
}

/// The same text for equal values. What `serde_json` writes depends on a feature that another crate may switch on.
#[cfg(feature = "shared")]
fn canonical(value: &serde_json::Value) -> String {
    use serde_json::Value;

    match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(canonical).collect();
            format!("[{}]", values.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        value => value.to_string(),
    }
}

fn no_response(which: &str, url: &EndpointUrl, error: BoxError, redactor: &Redactor) -> TokenError {
    let message = format!(
        "the {which} endpoint {url} did not answer, check its URL and that it can be reached"
    );
    transport_error(url, message, error, redactor)
}

impl<C> fmt::Debug for ClientCredentials<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("endpoint_source", &self.endpoint_source)
            .field("endpoint_options", &self.endpoint_options)
            .field("request", &self.request)
            .field("response_options", &self.response_options)
            .field("response_limit", &self.response_limit)
            .finish_non_exhaustive()
    }
}
