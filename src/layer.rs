use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use tower_layer::Layer;

use crate::{
    cache::TokenCache,
    error::TokenError,
    rejection::Rejection,
    replay::{Buffered, CloneBody, NoReplay, ReplayBody, TryClone},
    service::BearerAuth,
    settings::{Settings, SharedSettings},
    target::Origin,
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
/// 1. One that has an `Authorization` header already, or the extension
///    [`Anonymous`](crate::Anonymous), is passed on as it is.
/// 2. One to plain `http` is refused with an error, unless the host is this machine.
/// 3. The token is attached, marked sensitive. If there is none, the request waits for the one
///    fetch that gets it; meanwhile no permit or slot of the inner service is held.
/// 4. If the API refuses the token, it is renewed and the request is sent once more. The second
///    answer is the caller's, whatever it is. Where a second attempt is not possible the caller
///    gets the refusal, with [`NotReplayed`](crate::NotReplayed) in its extensions.
///
/// The layer is cheap to clone and its services share the token. They are `Send`, `Sync` and
/// `Clone` if the inner service is.
///
/// # What it costs
///
/// A request whose token is good reads one clock and shares the value of the header. It takes no
/// lock and allocates nothing but its copy for a second attempt, whose cost
/// [depends on the policy](crate::replay). Once a second, one of these requests takes a lock and
/// allocates a few words, to compare the clocks. The setters below say so if they add to that.
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
        let settings = SharedSettings::new(Settings::new(tokens.into()));
        Self { settings: Arc::new(settings), replay: CloneBody }
    }
}

impl<R> BearerAuthLayer<R> {
    /// Keeps up to `limit` bytes of a request's body while it is sent, for the case that the token is
    /// refused. `wrap` makes a body of your client's type from a [`ReplayBody`], twice for a request
    /// that is sent twice; it should pass the frames on as they are.
    ///
    /// For bodies that stream, and for those that are boxed. `axum::body::Body::new`,
    /// `tonic::body::Body::new` and `reqwest::Body::wrap` can be given as they are. A body that turns
    /// out to be larger than `limit` is sent all the same, but not twice.
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

    /// Sends a request once more if `clone` gave a body for that, which it is asked for before the
    /// first attempt. The clone must be the whole body.
    ///
    /// For a body type that is not `Clone`, but has bodies that can be cloned. `clone` is called for
    /// every request.
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
    /// For where a refusal may go to the caller, or the copy of each request's head costs too much.
    pub fn no_replay(self) -> BearerAuthLayer<NoReplay> {
        BearerAuthLayer { settings: self.settings, replay: NoReplay }
    }

    /// Decides what is a refused token. Default:
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

    /// Sends the token to these origins alone. A request to any other passes through without a
    /// token, so a redirect that is followed outside of this layer cannot carry it away.
    ///
    /// An origin is `https://host` or `https://host:port` (RFC 6454). Hosts compare without case,
    /// `:443` is the default. A request whose URI has no scheme and host belongs to the inner
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
    /// It is then this header that a caller may have set already, and `Authorization` is none of
    /// the layer's business. A name that the `http` crate has no constant for costs each request a hash
    /// over its bytes, twice, or once with [`overwrite`](Self::overwrite).
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
