//! Redirects, followed outside of the layer and inside: where the token goes.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use tower::{Service, ServiceBuilder};
use tower_bearer::{Anonymous, BearerAuthLayer, NotReplayed};
use tower_http::follow_redirect::FollowRedirectLayer;

use crate::support::*;

const START: &str = "https://api.example.com/start";

/// `/start` redirects to some place. Other paths answer 200, or 401 where that is wanted.
#[derive(Clone)]
struct Net {
    location: &'static str,
    status: StatusCode,
    seen: Seen,
}

/// Each request with what it had as `Authorization`.
type Seen = Arc<Mutex<Vec<(Uri, Option<HeaderValue>)>>>;

impl Net {
    fn redirecting_to(location: &'static str) -> Self {
        Self { location, status: StatusCode::OK, seen: Arc::default() }
    }

    fn answering(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn seen(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|(uri, value)| {
                let value = value.as_ref().map_or("", |value| value.to_str().unwrap());
                (uri.to_string(), value.to_owned())
            })
            .collect()
    }
}

impl Service<Request<Body>> for Net {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let authorization = request.headers().get(header::AUTHORIZATION).cloned();
        self.seen.lock().unwrap().push((request.uri().clone(), authorization));
        let mut response = answer(self.status.as_u16());
        if request.uri().path() == "/start" {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            let location = HeaderValue::from_static(self.location);
            response.headers_mut().insert(header::LOCATION, location);
        }
        ready(Ok(response))
    }
}

fn seen(uri: &str, authorization: &str) -> (String, String) {
    (uri.to_owned(), authorization.to_owned())
}

fn layer(issuer: &Issuer) -> BearerAuthLayer {
    BearerAuthLayer::new(issuer.clone()).only_for(["https://api.example.com"]).unwrap()
}

/// Other origins than that of `START`: another host, one that ends alike, another port, no TLS.
const ELSEWHERE: [&str; 5] = [
    "https://evil.example/",
    "https://api.example.com.evil/",
    "https://api.example.com:8443/",
    "http://api.example.com/",
    "http://api.example.com:443/",
];

#[tokio::test(start_paused = true)]
async fn followed_outside_no_token_goes_to_another_origin() {
    for location in ELSEWHERE {
        let (issuer, net) = (Issuer::default(), Net::redirecting_to(location));
        let mut client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(layer(&issuer))
            .service(net.clone());
        let response = send(&mut client, get(START)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(net.seen(), [seen(START, "Bearer t1"), seen(location, "")]);
    }
}

#[tokio::test(start_paused = true)]
async fn followed_outside_a_redirect_within_the_origin_has_a_token() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("/moved"));
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer(&issuer))
        .service(net.clone());
    send(&mut client, get(START)).await.unwrap();
    let moved = seen("https://api.example.com/moved", "Bearer t1");
    assert_eq!(net.seen(), [seen(START, "Bearer t1"), moved]);
}

#[tokio::test(start_paused = true)]
async fn followed_outside_a_refusal_by_another_origin_renews_nothing() {
    let issuer = Issuer::default();
    let net = Net::redirecting_to("https://evil.example/").answering(StatusCode::UNAUTHORIZED);
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer(&issuer))
        .service(net.clone());
    let response = send(&mut client, get(START)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<NotReplayed>().is_none());
    assert_eq!(net.seen().len(), 2);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn followed_outside_without_only_for_the_token_goes_anywhere() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("https://evil.example/"));
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(BearerAuthLayer::new(issuer))
        .service(net.clone());
    send(&mut client, get(START)).await.unwrap();
    assert_eq!(net.seen()[1], seen("https://evil.example/", "Bearer t1"));
}

#[tokio::test(start_paused = true)]
async fn followed_outside_a_redirect_to_plain_http_is_blocked() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("http://api.example.com/"));
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(BearerAuthLayer::new(issuer))
        .service(net.clone());
    let error = send(&mut client, get(START)).await.unwrap_err();
    assert!(error.downcast_ref::<tower_bearer::TokenError>().unwrap().is_insecure());
    assert_eq!(net.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn followed_outside_the_callers_own_authorization_stays() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("/moved"));
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer(&issuer))
        .service(net.clone());
    let mut request = get(START);
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic abc"));
    send(&mut client, request).await.unwrap();
    assert!(net.seen().iter().all(|(_, authorization)| authorization == "Basic abc"));
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn followed_outside_an_anonymous_request_stays_anonymous() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("/moved"));
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer(&issuer))
        .service(net.clone());
    let mut request = get(START);
    request.extensions_mut().insert(Anonymous);
    send(&mut client, request).await.unwrap();
    assert!(net.seen().iter().all(|(_, authorization)| authorization.is_empty()));
    assert_eq!(net.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn followed_inside_the_token_is_removed_at_another_origin() {
    for location in ELSEWHERE {
        let (issuer, net) = (Issuer::default(), Net::redirecting_to(location));
        let mut client = ServiceBuilder::new()
            .layer(layer(&issuer))
            .layer(FollowRedirectLayer::new())
            .service(net.clone());
        send(&mut client, get(START)).await.unwrap();
        assert_eq!(net.seen(), [seen(START, "Bearer t1"), seen(location, "")]);
    }
}

#[tokio::test(start_paused = true)]
async fn followed_inside_a_foreign_401_costs_a_token_and_a_round() {
    let issuer = Issuer::default();
    let net = Net::redirecting_to("https://evil.example/").answering(StatusCode::UNAUTHORIZED);
    let mut client = ServiceBuilder::new()
        .layer(layer(&issuer))
        .layer(FollowRedirectLayer::new())
        .service(net.clone());
    let response = send(&mut client, get(START)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let elsewhere = seen("https://evil.example/", "");
    let round = |token| [seen(START, token), elsewhere.clone()];
    assert_eq!(net.seen(), [round("Bearer t1"), round("Bearer t2")].concat());
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn followed_inside_without_a_filter_the_token_goes_anywhere() {
    let (issuer, net) = (Issuer::default(), Net::redirecting_to("https://evil.example/"));
    let filters_nothing = tower_http::follow_redirect::policy::Limited::new(3);
    let mut client = ServiceBuilder::new()
        .layer(layer(&issuer))
        .layer(FollowRedirectLayer::with_policy(filters_nothing))
        .service(net.clone());
    send(&mut client, get(START)).await.unwrap();
    assert_eq!(net.seen()[1], seen("https://evil.example/", "Bearer t1"));
}
