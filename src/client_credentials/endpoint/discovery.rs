use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::ACCEPT};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{issuer::Issuer, metadata::Metadata, resolved::Place, url::Endpoint};
use crate::{
    client_credentials::{
        message::{Content, exchange, unanswered},
        redaction::Redactor,
        request::TokenRequest,
        response::{error_response, retry_after},
    },
    error::{BoxError, Kind, TokenError},
    fetcher::FetchContext,
};

/// Finds the token endpoint in the metadata of an issuer, and remembers it until it does not work.
pub(crate) struct Discovery {
    issuer: Issuer,
    wishes: Wishes,
    known: Mutex<Option<Known>>,
}

/// What of the metadata is used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) transport: Transport,
    pub(crate) endpoint: Alias,
    pub(crate) method: Choice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    Confidential,
    Any,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Alias {
    #[default]
    Plain,
    Mtls,
}

/// Who chooses how the client authenticates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Ours,
    Both,
}

impl Wishes {
    pub(crate) fn needs_issuer(self) -> bool {
        self.endpoint != Alias::Plain || self.method != Choice::Ours
    }
}

struct Known {
    place: Arc<Place>,
    trust: Trust,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The last token request there was answered, and not refused.
    Good,
    /// It was refused or has no answer.
    Doubtful,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, wishes: Wishes) -> Self {
        Self { issuer, wishes, known: Mutex::new(None) }
    }

    /// Where tokens are asked from. `client` is called only if the metadata has to be read.
    pub(crate) async fn place<C, RB>(
        &self,
        client: impl Fn() -> C,
        context: &FetchContext,
        token_request: &TokenRequest,
        limit: usize,
    ) -> Result<Arc<Place>, TokenError>
    where
        C: Service<Request<Full<Bytes>>, Response = Response<RB>>,
        C::Error: Into<BoxError>,
        RB: Body,
        RB::Error: Into<BoxError>,
    {
        let before = match &*self.lock() {
            Some(Known { place, trust: Trust::Good }) => return Ok(place.clone()),
            Some(Known { place, trust: Trust::Doubtful }) => Some(place.clone()),
            None => None,
        };
        let metadata = match (self.read(client, context, limit).await, before) {
            (Ok(metadata), _) => metadata,
            // An issuer whose metadata cannot be had now may give tokens all the same.
            (Err(error), Some(before)) if error.is_transient() => return Ok(before),
            (Err(error), _) => return Err(error),
        };
        let place = Arc::new(self.judge(&metadata, token_request)?);
        token_request.check(&place)?;
        *self.lock() = Some(Known { place: place.clone(), trust: Trust::Good });
        Ok(place)
    }

    /// While it is in doubt, the metadata is read again before a token request.
    pub(crate) fn rate(&self, trust: Trust) {
        if let Some(known) = &mut *self.lock() {
            known.trust = trust;
        }
    }

    async fn read<C, RB>(
        &self,
        client: impl Fn() -> C,
        context: &FetchContext,
        limit: usize,
    ) -> Result<Metadata, TokenError>
    where
        C: Service<Request<Full<Bytes>>, Response = Response<RB>>,
        C::Error: Into<BoxError>,
        RB: Body,
        RB::Error: Into<BoxError>,
    {
        let mut failures = Vec::new();
        for url in self.issuer.metadata() {
            let mut request = Request::new(Full::default());
            *request.uri_mut() = url.uri_with("")?;
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            context.mark(request.extensions_mut());
            let answer = exchange(client(), request, limit).await;
            let (head, content) = answer.map_err(|error| unreachable(url, error))?.into_parts();
            let failure = match content {
                Content::TooLarge => too_large(url),
                Content::Broken(error) => unreachable(url, error),
                Content::Complete(body) if head.status == StatusCode::OK => {
                    match Metadata::read(&body) {
                        Some(metadata) => return Ok(metadata),
                        None => not_metadata(url),
                    }
                }
                Content::Complete(_) => no_metadata(url, head.status),
            };
            failures.push(match retry_after::read(&head.headers, SystemTime::now()) {
                Some(delay) => failure.retry_in(delay),
                None => failure,
            });
        }
        // What may be gone at the next attempt says more than that the other place has nothing.
        let telling = failures.iter().position(TokenError::is_transient).unwrap_or_default();
        Err(failures.swap_remove(telling))
    }

    fn judge(&self, metadata: &Metadata, request: &TokenRequest) -> Result<Place, TokenError> {
        // Code point by code point (RFC 8414 sections 3.3 and 4).
        if metadata.issuer != self.issuer.identifier() {
            return Err(TokenError::new(
                Kind::Malformed,
                format!(
                    "the metadata is of the issuer `{}`, write the issuer just like that if it is \
                     the one that is meant",
                    excerpt(&metadata.issuer)
                ),
            ));
        }
        let endpoint = match self.wishes.endpoint {
            Alias::Plain => metadata.token_endpoint(),
            Alias::Mtls => metadata.mtls_token_endpoint(),
        };
        let endpoint = endpoint.and_then(|url| Endpoint::parse(url).ok()).ok_or_else(|| {
            TokenError::new(
                Kind::Malformed,
                "the issuer's metadata has no `token_endpoint` that is a URL, name the token \
                 endpoint instead of the issuer",
            )
        })?;
        let is_confidential = match self.issuer.url().is_https() {
            true => endpoint.is_https(),
            false => endpoint.is_confidential(),
        };
        if self.wishes.transport == Transport::Confidential && !is_confidential {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the issuer's metadata has the token endpoint {endpoint}, and the secret is \
                     not sent over plain http, have the issuer mend it or call `allow_http`"
                ),
            ));
        }
        let methods = metadata.auth_methods();
        let mut auth = None;
        if !request.is_authenticated_by_any(&methods) {
            if self.wishes.method == Choice::Both {
                auth = request.auth_by_any(&methods);
            }
            if auth.is_none() {
                return Err(TokenError::config(format!(
                    "the issuer does not take this `ClientAuth`, only {}: choose one of them{}",
                    excerpt(&methods.join(", ")),
                    match request.auth_by_any(&methods) {
                        Some(auth) => format!(", such as `{auth:?}`, or call `pick_auth_method`"),
                        None => String::new(),
                    }
                )));
            }
        }
        Ok(Place { endpoint, issuer: Some(metadata.issuer.clone()), auth })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("issuer", &self.issuer)
            .field("wishes", &self.wishes)
            .finish_non_exhaustive()
    }
}

fn unreachable(url: &Endpoint, error: BoxError) -> TokenError {
    let message = format!(
        "the issuer's metadata could not be read from {url}, check the issuer and that it can be \
         reached"
    );
    unanswered(url, message, error, &Redactor::default())
}

fn no_metadata(url: &Endpoint, status: StatusCode) -> TokenError {
    let message = format!(
        "the issuer has no metadata at {url} ({status}), check the issuer or name the token \
         endpoint instead"
    );
    TokenError::new(Kind::Answer, message)
        .with_answer(status, error_response::is_transient(status, None))
}

fn not_metadata(url: &Endpoint) -> TokenError {
    let message = format!(
        "what is at {url} is not the metadata of an issuer, check the issuer or name the token \
         endpoint instead"
    );
    TokenError::new(Kind::Malformed, message).with_answer(StatusCode::OK, false)
}

fn too_large(url: &Endpoint) -> TokenError {
    let message = format!(
        "the issuer's metadata at {url} is larger than the limit, check the issuer or raise \
         `response_limit`"
    );
    TokenError::new(Kind::TooLarge, message)
}

fn excerpt(text: &str) -> String {
    Redactor::default().excerpt(text)
}
