//! A token that is selected for each request.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt;
use tower::{Layer, service_fn};
use tower_bearer::{
    Anonymous, BearerAuthLayer, BoxError, NotReplayed, RequestHead, TokenCache, TokenError,
    rejection,
};

use super::NamedIssuer;
use crate::support::*;

/// Which token a request wants.
#[derive(Clone)]
struct Audience(&'static str);

#[derive(Debug)]
struct UnknownAudience;

impl fmt::Display for UnknownAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown audience")
    }
}

impl std::error::Error for UnknownAudience {}

/// An issuer for each of two audiences.
struct World {
    orders: NamedIssuer,
    users: NamedIssuer,
    selected: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<Option<String>>>>,
}

impl World {
    fn new() -> Self {
        Self {
            orders: NamedIssuer::new("orders"),
            users: NamedIssuer::new("users"),
            selected: Arc::default(),
            sent: Arc::default(),
        }
    }

    fn layer(&self) -> BearerAuthLayer {
        let orders = TokenCache::new(self.orders.clone());
        let users = TokenCache::new(self.users.clone());
        let selected = self.selected.clone();
        BearerAuthLayer::select(move |head| {
            selected.fetch_add(1, Ordering::Relaxed);
            match head.extensions.get::<Audience>() {
                Some(Audience("orders")) => Ok(Some(orders.clone())),
                Some(Audience("users")) => Ok(Some(users.clone())),
                Some(_) => Err(UnknownAudience),
                None => Ok(None),
            }
        })
    }

    /// An API that takes the tokens of one of the issuers.
    fn api(
        &self,
        takes: &NamedIssuer,
    ) -> impl tower::Service<
        Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send,
    > + Clone {
        let (sent, takes) = (self.sent.clone(), takes.clone());
        service_fn(move |request: Request<Body>| {
            let token = request
                .headers()
                .get(AUTHORIZATION)
                .map(|value| value.to_str().unwrap().trim_start_matches("Bearer ").to_owned());
            let status = match &token {
                Some(token) if !takes.accepts(token) => 401,
                _ => 200,
            };
            sent.lock().unwrap().push(token);
            async move { Ok(answer(status)) }
        })
    }

    fn sent(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

fn to(audience: &'static str) -> Request<Body> {
    let mut request = get("https://api.example.com/");
    request.extensions_mut().insert(Audience(audience));
    request
}

fn some(token: &str) -> Option<String> {
    Some(token.to_owned())
}

#[tokio::test(start_paused = true)]
async fn each_request_gets_the_token_that_is_selected_for_it() {
    let world = World::new();
    let mut client = world.layer().layer(service_fn({
        let sent = world.sent.clone();
        move |request: Request<Body>| {
            let token = request.headers().get(AUTHORIZATION);
            sent.lock().unwrap().push(token.map(|value| value.to_str().unwrap().to_owned()));
            async { Ok::<_, Infallible>(answer(200)) }
        }
    }));
    for audience in ["orders", "users", "orders"] {
        send(&mut client, to(audience)).await.unwrap();
    }
    send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(
        world.sent(),
        [some("Bearer orders-1"), some("Bearer users-1"), some("Bearer orders-1"), None],
        "the last one was to pass through"
    );
    assert_eq!((world.orders.asked(), world.users.asked()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_function_sees_method_uri_headers_and_extensions() {
    let issuer = NamedIssuer::new("t");
    let tokens = TokenCache::new(issuer.clone());
    let layer = BearerAuthLayer::select(move |head: RequestHead<'_>| {
        assert_eq!(head.method, Method::PUT);
        assert_eq!(head.uri, "https://api.example.com/a?b");
        assert_eq!(head.headers["x-tenant"], "acme");
        assert!(!head.headers.contains_key(AUTHORIZATION));
        assert!(head.extensions.get::<Audience>().is_some());
        assert!(!format!("{head:?}").contains("acme"));
        Ok::<_, Infallible>(Some(tokens.clone()))
    });
    let mut client =
        layer.layer(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(answer(200))));
    let request = Request::put("https://api.example.com/a?b")
        .header("x-tenant", "acme")
        .extension(Audience("orders"))
        .body(Body::default())
        .unwrap();
    assert_eq!(send(&mut client, request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_selected_for_a_request_that_passes_through_anyway() {
    let world = World::new();
    let layer = world.layer().only_for(["https://api.example.com"]).unwrap();
    let mut client = layer.layer(world.api(&world.orders));
    let mut own = to("unknown");
    own.headers_mut().insert(AUTHORIZATION, "Bearer orders-1".parse().unwrap());
    let mut anonymous = to("unknown");
    anonymous.extensions_mut().insert(Anonymous);
    let mut foreign = to("unknown");
    *foreign.uri_mut() = "https://example.com/".parse().unwrap();
    for request in [own, anonymous, foreign] {
        send(&mut client, request).await.unwrap();
    }
    assert_eq!(world.selected.load(Ordering::Relaxed), 0);
    assert_eq!((world.orders.asked(), world.users.asked()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_function_is_a_source_and_nothing_is_sent() {
    let world = World::new();
    let mut client = world.layer().layer(world.api(&world.orders));
    let error = send(&mut client, to("unknown")).await.unwrap_err();
    let error = error.downcast::<TokenError>().unwrap();
    assert!(error.is_selection() && !error.is_transient(), "{error:?}");
    let source = std::error::Error::source(&*error).unwrap();
    assert!(source.downcast_ref::<UnknownAudience>().is_some(), "{source:?}");
    assert!(world.sent().is_empty());

    send(&mut client, to("orders")).await.unwrap();
    assert_eq!(world.orders.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_breaks_nothing_for_other_requests() {
    let tokens = TokenCache::new(NamedIssuer::new("t"));
    let layer = BearerAuthLayer::select(move |head| match head.uri.path() {
        "/panic" => std::panic::resume_unwind(Box::new("a bug in the function")),
        _ => Ok::<_, Infallible>(Some(tokens.clone())),
    });
    let client = layer.layer(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(answer(200))));
    let request = |path| {
        let mut client = client.clone();
        tokio::spawn(async move { send(&mut client, get(path)).await.map(drop) })
    };
    assert!(request("https://api.example.com/panic").await.unwrap_err().is_panic());
    request("https://api.example.com/").await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_gets_its_token_from_the_same_cache() {
    let world = World::new();
    let mut client = world.layer().layer(world.api(&world.users));
    send(&mut client, to("users")).await.unwrap();
    world.users.revoke_all();
    let response = send(&mut client, to("users")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.sent(), [some("users-1"), some("users-1"), some("users-2")]);
    assert_eq!(world.selected.load(Ordering::Relaxed), 2, "once for each request");
    assert_eq!(world.orders.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_of_one_cache_does_not_hold_up_another() {
    let world = World::new();
    // An API that refuses whatever the issuer of the orders gives.
    let mut client = world.layer().layer(world.api(&world.users));
    for _ in 0..2 {
        let response = send(&mut client, to("orders")).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    let response = send(&mut client, to("orders")).await.unwrap();
    assert!(matches!(response.extensions().get(), Some(NotReplayed::Cooldown)));

    send(&mut client, to("users")).await.unwrap();
    world.users.revoke_all();
    assert_eq!(send(&mut client, to("users")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn it_works_with_every_policy_and_setter() {
    let world = World::new();
    let boxed = |audience| to(audience).map(|body| body.map_err(BoxError::from).boxed_unsync());
    let api = world.api(&world.users);
    let unboxed = service_fn(move |request: Request<Boxed>| {
        let mut api = api.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = Body::from(body.collect().await?.to_bytes());
            Ok::<_, BoxError>(
                tower::Service::call(&mut api, Request::from_parts(parts, body)).await?,
            )
        }
    });
    let layer = world.layer().rejected_when(rejection::grpc).overwrite();

    let mut buffered = layer.clone().buffered(1024, Boxed::new).layer(unboxed.clone());
    send(&mut buffered, boxed("users")).await.unwrap();
    world.users.revoke_all();
    assert_eq!(send(&mut buffered, boxed("users")).await.unwrap().status(), 200);

    let mut cloned =
        layer.clone().try_clone(|body: &Body| Some(body.clone())).layer(world.api(&world.users));
    world.users.revoke_all();
    assert_eq!(send(&mut cloned, to("users")).await.unwrap().status(), 200);

    let mut once = layer.clone().no_replay().layer(world.api(&world.users));
    world.users.revoke_all();
    assert_eq!(send(&mut once, to("users")).await.unwrap().status(), 401);
    assert_eq!(send(&mut once, to("users")).await.unwrap().status(), 200);

    let named = layer.header("x-token".parse().unwrap());
    let mut named = named.layer(service_fn(async |request: Request<Body>| {
        assert!(request.headers().contains_key("x-token"));
        Ok::<_, Infallible>(answer(200))
    }));
    send(&mut named, to("orders")).await.unwrap();
}
