use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use tower_layer::Layer;

#[cfg(feature = "client-credentials")]
use crate::http::wanted_claims;
use crate::{
    cache::TokenCache,
    error::{BoxError, TokenError},
    http::Origin,
    rejection::Rejection,
    replay::{Buffered, CloneBody, NoReplay, ReplayBody, TryClone},
    service::BearerAuth,
    settings::{Settings, SharedSettings, Tokens},
    tokens::{RequestHead, Selector},
};

/// Sends a bearer token with every request of an HTTP client, and heals a refused token.
///
/// This is for *outbound* requests. It does not check tokens on a server.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_bearer::{BearerAuthLayer, BoxError, Token, fetch_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let tokens = fetch_fn(async |_| Token::bearer("mF_9.B5f-4.1JqM"));
///
/// let mut client = ServiceBuilder::new()
///     .layer(BearerAuthLayer::new(tokens))
///     .service(service_fn(async |request: Request<Full<Bytes>>| {
///         assert_eq!(request.headers()["authorization"], "Bearer mF_9.B5f-4.1JqM");
///         Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
///     }));
///
/// let request = Request::get("https://api.example.com/orders").body(Full::default())?;
/// client.ready().await?.call(request).await?;
/// # Ok(()) }
/// ```
///
/// # What happens to a request
///
/// 1. A request that has an `Authorization` header already, or the extension
///    [`Anonymous`](crate::Anonymous), is passed on as it is.
/// 2. A request to plain `http` fails with an error, unless the host is this machine.
/// 3. The token is attached, marked sensitive. If there is none, the request waits for the one
///    fetch that gets it. Meanwhile it holds no permit or slot of the inner service.
/// 4. If the API refuses the token, another is fetched and the request is sent once more. The second
///    response is the caller's, whatever it is. If the request cannot be sent again, the caller gets
///    the refusal, with [`NotReplayed`](crate::NotReplayed) in its extensions.
///
/// The layer is cheap to clone, and its services share the token. They are `Send`, `Sync` and
/// `Clone` if the inner service is.
///
/// # What it costs
///
/// A request whose token is good reads one clock and shares the value of the header. It takes no lock, and
/// allocates nothing but its copy for a second attempt, whose cost [depends on the policy](crate::replay). Once a
/// second, one of these requests takes a lock and allocates a few words, to compare the clocks. The setters below
/// say so if they add to that. [Performance](crate::guide::performance) has the figures.
///
/// # In the guide
///
/// [Clients](crate::guide::clients) has hyper, reqwest, tonic and axum.
/// [Placing the layer](crate::guide::stack) compares the orders of layers.
/// [Caching and failure](crate::guide::caching) has all defaults.
#[derive(Clone, Debug)]
pub struct BearerAuthLayer<R = CloneBody> {
    settings: Arc<SharedSettings>,
    replay: R,
}

impl BearerAuthLayer {
    /// Attaches tokens from this cache, or from a cache made over this fetcher.
    pub fn new(tokens: impl Into<TokenCache>) -> Self {
        let settings = SharedSettings::new(Settings::new(Tokens::One(tokens.into())));
        Self { settings: Arc::new(settings), replay: CloneBody }
    }

    /// Attaches a token that `select` chooses for each request: one for each audience behind a gateway,
    /// each tenant, each scope.
    ///
    /// `select` gets the request without its body. It returns
    ///
    /// - the [`TokenCache`] that the token comes from, in both attempts,
    /// - `None` for a request that is sent as it is, without a token,
    /// - or an error, which the caller gets. Nothing is sent.
    ///
    /// It is called once for each request, and not for one that passes through anyway: one with an
    /// `Authorization` of its own, with the extension [`Anonymous`](crate::Anonymous), or to an origin that
    /// [`only_for`](Self::only_for) does not name. It is called within `call`, so it must not block.
    ///
    /// `TokenCaches`, with the feature `token-caches`, makes and keeps a cache for each key.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use tower_bearer::{BearerAuthLayer, Token, TokenCache, fetch_fn};
    ///
    /// let orders = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
    /// let users = TokenCache::new(fetch_fn(async |_| Token::bearer("def")));
    ///
    /// let layer = BearerAuthLayer::select(move |head| {
    ///     Ok::<_, Infallible>(match head.uri.path().split('/').nth(1) {
    ///         Some("orders") => Some(orders.clone()),
    ///         Some("users") => Some(users.clone()),
    ///         _ => None,
    ///     })
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// An error of `select` reaches the caller as a [`TokenError`] that
    /// [`is_selection`](TokenError::is_selection), with the error as its source. One that is a `TokenError`
    /// reaches it as it is.
    ///
    /// # Panics
    ///
    /// If `select` panics, so does the request that it is called for.
    pub fn select<F, E>(select: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Result<Option<TokenCache>, E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let settings = SharedSettings::new(Settings::new(Tokens::Select(Selector::new(select))));
        Self { settings: Arc::new(settings), replay: CloneBody }
    }
}

impl<R> BearerAuthLayer<R> {
    /// Keeps up to `limit` bytes of a request's body while the body is sent, for the case that the token
    /// is refused. `wrap` makes a body of your client's type from a [`ReplayBody`]. It is called twice for a
    /// request that is sent twice, and should pass the frames on as they are.
    ///
    /// Use it for bodies that stream, and for boxed bodies. `axum::body::Body::new`,
    /// `tonic::body::Body::new` and `reqwest::Body::wrap` can be given as they are. A body that turns
    /// out to be larger than `limit` is sent, but not twice.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{BodyExt, combinators::BoxBody};
    /// use tower_bearer::{BearerAuthLayer, BoxError};
    ///
    /// # let tokens = tower_bearer::fetch_fn(async |_| tower_bearer::Token::bearer("abc"));
    /// # let client = tower::service_fn(async |_: http::Request<BoxBody<Bytes, BoxError>>| {
    /// #     Ok::<_, BoxError>(http::Response::new(()))
    /// # });
    /// let layer = BearerAuthLayer::new(tokens).buffered(64 * 1024, |body| body.boxed());
    /// # fn check<C: tower::Service<http::Request<BoxBody<Bytes, BoxError>>>>(_: C) {}
    /// # check(tower::Layer::layer(&layer, client));
    /// ```
    ///
    /// [`Buffered`] says what is kept, what that costs, and what happens if the refusal comes while
    /// the body is still being sent.
    pub fn buffered<F, B>(self, limit: usize, wrap: F) -> BearerAuthLayer<Buffered<F>>
    where
        F: Fn(ReplayBody<B>) -> B,
    {
        BearerAuthLayer { settings: self.settings, replay: Buffered::new(limit, wrap) }
    }

    /// Sends a request once more if `clone` has given a body for that. `clone` is called for every request,
    /// before the first attempt. The clone must be the whole body.
    ///
    /// Use it for a body type that is not `Clone`, but has bodies that can be cloned.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{Either, Full, combinators::UnsyncBoxBody};
    /// use tower_bearer::{BearerAuthLayer, BoxError};
    ///
    /// type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, BoxError>>;
    ///
    /// # let tokens = tower_bearer::fetch_fn(async |_| tower_bearer::Token::bearer("abc"));
    /// # let client = tower::service_fn(async |_: http::Request<Body>| {
    /// #     Ok::<_, BoxError>(http::Response::new(()))
    /// # });
    /// let layer = BearerAuthLayer::new(tokens).try_clone(|body: &Body| match body {
    ///     Either::Left(full) => Some(Either::Left(full.clone())),
    ///     Either::Right(_) => None,
    /// });
    /// # fn check<C: tower::Service<http::Request<Body>>>(_: C) {}
    /// # check(tower::Layer::layer(&layer, client));
    /// ```
    pub fn try_clone<F, B>(self, clone: F) -> BearerAuthLayer<TryClone<F>>
    where
        F: Fn(&B) -> Option<B>,
    {
        BearerAuthLayer { settings: self.settings, replay: TryClone::new(clone) }
    }

    /// Sends no request a second time. A refused token is still renewed, for the next request.
    ///
    /// Use it where callers can live with a refusal, or where the copy of each request's head costs too
    /// much.
    pub fn no_replay(self) -> BearerAuthLayer<NoReplay> {
        BearerAuthLayer { settings: self.settings, replay: NoReplay }
    }

    /// Decides whether a response means that the API has refused the token. Default:
    /// [`rejection::unauthorized`](crate::rejection::unauthorized), which looks at the headers of a
    /// 401 alone. `rejected` is called for every response.
    ///
    /// ```
    /// # use tower_bearer::{BearerAuthLayer, Token, fetch_fn, rejection};
    /// # let tokens = fetch_fn(async |_| Token::bearer("abc"));
    /// // An API that answers 403 to an expired token.
    /// let layer = BearerAuthLayer::new(tokens).rejected_when(|status, headers| {
    ///     status == 403 || rejection::unauthorized(status, headers)
    /// });
    /// ```
    pub fn rejected_when(
        self,
        rejected: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.change(|settings| settings.rejection = Rejection::Custom(Arc::new(rejected)))
    }

    /// Answers a challenge for claims: where a 401 has a Bearer challenge with the error
    /// `insufficient_claims` and the parameter `claims`, as Entra's continuous access evaluation sends
    /// it, a token is fetched with those claims, and the request is sent once more with it. Default:
    /// the caller gets the 401.
    ///
    /// `ClientCredentials` sends the claims with the token request. Another fetcher finds them in
    /// [`FetchContext::claims`](crate::FetchContext::claims). The token takes the place of the one in the
    /// cache. The same limits apply as after a refused token: one fetch for all who wait, a cooldown if
    /// the new token is no help, and one more attempt for each request.
    ///
    /// `claims` is a JSON object in base64, of at most 4 KiB. With anything else, and where the request
    /// cannot be sent again, the caller gets the 401 as it came.
    #[cfg(feature = "client-credentials")]
    pub fn insufficient_claims(self) -> Self {
        self.change(|settings| settings.wanted_claims = Some(wanted_claims))
    }

    /// Sends the token to these origins alone. A request to any other passes through without a
    /// token, so a redirect that is followed outside of this layer cannot carry it away.
    ///
    /// An origin is `https://host` or `https://host:port` (RFC 6454). Hosts compare without case
    /// and final dot, `:443` is the default. A request whose URI has no scheme and host belongs to the inner
    /// client's own target and gets the token. Default: every origin.
    ///
    /// Each request's origin is compared with these in turn, without an allocation.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) if an origin has a path, a query or a user, or is
    /// malformed in another way.
    pub fn only_for<I>(self, origins: I) -> Result<Self, TokenError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let origins = origins
            .into_iter()
            .map(|origin| Origin::parse(origin.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(self.change(|settings| settings.only_for(origins)))
    }

    /// Sends the token over plain `http` too, where anyone on the way can read it (RFC 6750
    /// section 5.3 forbids that). Default: only to this machine itself, for which the host of a
    /// request to plain `http` is looked at.
    pub fn allow_http(self) -> Self {
        self.change(|settings| settings.target.allow_http = true)
    }

    /// Sends the token in this header instead of `Authorization`, for APIs with one of their own,
    /// such as Shopify's `X-Shopify-Access-Token`. What stands before the token is the fetcher's
    /// matter: [`Token::prefixed`](crate::Token::prefixed), or
    /// the `token_prefix` of `ClientCredentialsBuilder`.
    ///
    /// A caller's own value in this header is then kept, and the layer ignores `Authorization`. A name that the
    /// `http` crate has no constant for costs each request a hash over its bytes, twice, or once with
    /// [`overwrite`](Self::overwrite).
    ///
    /// What follows redirects *inside* of this layer, as reqwest does by itself, takes
    /// `Authorization` off at another origin, but no header that it does not know. With a header of
    /// your own, follow redirects outside, with [`only_for`](Self::only_for), or not at all.
    pub fn header(self, name: HeaderName) -> Self {
        self.change(|settings| settings.target.header = name)
    }

    /// Replaces an `Authorization` header, or what [`header`](Self::header) names, that a request
    /// has already. Default: it is kept, and the request passes through as it is.
    pub fn overwrite(self) -> Self {
        self.change(|settings| settings.target.overwrite = true)
    }

    /// Whether each request has a cache of its own.
    #[cfg(any(feature = "reqwest-middleware", feature = "reqwest-012"))]
    pub(crate) fn selects(&self) -> bool {
        self.settings.selects()
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        Arc::make_mut(&mut self.settings).change(change);
        self
    }
}

impl<S, R: Clone> Layer<S> for BearerAuthLayer<R> {
    type Service = BearerAuth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerAuth::new(inner, self.settings.clone(), self.replay.clone())
    }
}
