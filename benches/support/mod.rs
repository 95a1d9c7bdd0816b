//! What the benches have in common: a service that answers at once, and what people put around it.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

use std::{
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, IF_NONE_MATCH,
        USER_AGENT,
    },
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower::{
    Layer, Service, ServiceBuilder,
    retry::{Policy, RetryLayer},
};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, fetch_fn};
use tower_http::set_header::SetRequestHeaderLayer;

pub type Body = Full<Bytes>;
pub type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

pub const TOKENS: [(&str, usize); 2] = [("40 B token", 40), ("1.5 KiB token", 1536)];

const HEADERS: [(HeaderName, &str); 7] = [
    (ACCEPT, "application/json"),
    (ACCEPT_ENCODING, "gzip, deflate, br"),
    (CACHE_CONTROL, "no-cache"),
    (CONTENT_TYPE, "application/json"),
    (IF_NONE_MATCH, "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    (USER_AGENT, "orders-service/1.4.2"),
    (
        HeaderName::from_static("traceparent"),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
];

/// A request with 0 or 8 headers.
pub fn request(headers: usize) -> Request<Body> {
    let mut request =
        Request::post("https://api.example.com/orders").body(Body::from("{}")).unwrap();
    if headers > 0 {
        for (name, value) in HEADERS {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("7b3c0e0a"));
    }
    request
}

/// Answers at once.
#[derive(Clone)]
pub struct Bare;

impl<B> Service<Request<B>> for Bare {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Body::default())))
    }
}

/// What people write for `tower::retry::Retry` when a 401 is to be tried once more.
#[derive(Clone)]
pub struct CloneAndRetry;

impl<RB, E> Policy<Request<Body>, Response<RB>, E> for CloneAndRetry {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<RB>, E>,
    ) -> Option<Self::Future> {
        matches!(result, Ok(response) if response.status() == 401).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

/// Readies, calls and polls once, which is all that a service on top of [`Bare`] needs.
#[inline]
pub fn call<S, B>(service: &mut S, request: Request<B>) -> S::Response
where
    S: Service<Request<B>>,
    S::Error: std::fmt::Debug,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let future = pin!(service.call(request));
    match future.poll(&mut cx) {
        Poll::Ready(response) => response.unwrap(),
        Poll::Pending => panic!("a hit does not wait"),
    }
}

pub fn access_token(length: usize) -> String {
    "abcdefghij".chars().cycle().take(length).collect()
}

/// The value that a fixed header has.
pub fn fixed(length: usize) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", access_token(length))).unwrap();
    value.set_sensitive(true);
    value
}

/// A cache with a token that lasts.
pub fn cached(length: usize) -> TokenCache {
    let token = Token::bearer(&access_token(length)).unwrap().expires_in(Duration::MAX);
    let tokens = TokenCache::new(fetch_fn(move |_| {
        let token = token.clone();
        async move { Ok::<_, BoxError>(token) }
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokens.token()).unwrap();
    tokens
}

/// Is shown each service in turn, with what makes the requests for it.
pub trait Visitor {
    fn visit<S, B>(&mut self, name: &str, service: S, request: impl Fn() -> Request<B>)
    where
        S: Service<Request<B>>,
        S::Error: std::fmt::Debug;
}

/// All that a hit can be compared with, and all that there is to compare.
pub fn contestants(headers: usize, length: usize, visitor: &mut impl Visitor) {
    let full = || request(headers);
    let boxed = || request(headers).map(|body| body.map_err(|never| match never {}).boxed_unsync());
    let fixed = || SetRequestHeaderLayer::overriding(AUTHORIZATION, fixed(length));
    let retry = ServiceBuilder::new().layer(RetryLayer::new(CloneAndRetry)).layer(fixed());
    let layer = BearerAuthLayer::new(cached(length));
    let named = layer.clone().only_for(["https://api.example.com"]).unwrap();
    let try_clone = layer.clone().try_clone(|body: &Body| Some(body.clone()));
    let buffered = layer.clone().buffered(64 * 1024, BoxBody::new);

    visitor.visit("bare", Bare, full);
    visitor.visit("fixed header", fixed().layer(Bare), full);
    visitor.visit("fixed header under Retry", retry.service(Bare), full);
    visitor.visit("BearerAuth", layer.layer(Bare), full);
    visitor.visit("BearerAuth, named origin", named.layer(Bare), full);
    visitor.visit("BearerAuth, try_clone", try_clone.layer(Bare), full);
    visitor.visit("BearerAuth, no_replay", layer.clone().no_replay().layer(Bare), full);
    visitor.visit(
        "BearerAuth, named origin, no_replay",
        named.clone().no_replay().layer(Bare),
        full,
    );
    visitor.visit("fixed header, boxed body", fixed().layer(Bare), boxed);
    visitor.visit("BearerAuth, buffered, boxed body", buffered.layer(Bare), boxed);
}
