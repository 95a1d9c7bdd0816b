//! What becomes of a request: who gets the token, and who is sent on without it.

use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use tower::{Layer, ServiceExt};
use tower_bearer::{Anonymous, BearerAuthLayer, BoxError, TokenError};
use tower_test::mock;

use crate::support::*;

type Mock = mock::Mock<Request<Body>, http::Response<Body>>;
type Handle = mock::Handle<Request<Body>, http::Response<Body>>;

fn token_error(error: BoxError) -> TokenError {
    *error.downcast::<TokenError>().expect("an error of this crate")
}

/// Sends one request and returns what the inner service got.
async fn seen_by_inner(layer: BearerAuthLayer, request: Request<Body>) -> Request<Body> {
    let (inner, mut handle): (Mock, Handle) = mock::pair();
    let mut client = layer.layer(inner);
    let (response, seen) = tokio::join!(send(&mut client, request), async {
        let (seen, reply) = handle.next_request().await.unwrap();
        reply.send_response(answer(200));
        seen
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    seen
}

/// Sends one request that the inner service must not get.
async fn refused(layer: BearerAuthLayer, request: Request<Body>) -> TokenError {
    let (inner, mut handle): (Mock, Handle) = mock::pair();
    handle.allow(1);
    let mut client = layer.layer(inner);
    let error = send(&mut client, request).await.unwrap_err();
    drop(client);
    assert!(handle.next_request().await.is_none(), "the inner service was called");
    token_error(error)
}

fn layer(issuer: &Issuer) -> BearerAuthLayer {
    BearerAuthLayer::new(issuer.clone())
}

#[tokio::test(start_paused = true)]
async fn plain_http_to_this_machine_is_allowed() {
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:80", "[::1]:8080"] {
        let seen = seen_by_inner(layer(&Issuer::default()), get(&format!("http://{host}/"))).await;
        assert_eq!(seen.headers()[AUTHORIZATION], "Bearer t1");
    }
    for host in ["localhost.example.com", "127.0.0.1.example.com", "128.0.0.1", "[::2]"] {
        let error = refused(layer(&Issuer::default()), get(&format!("http://{host}/"))).await;
        assert!(error.is_insecure(), "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_another_origin_passes_through_without_a_token() {
    for uri in [
        "https://api.example.com.evil/",
        "https://api.example.com:8443/",
        "https://api.example.com@evil.example/",
        "https://user@api.example.com/",
        "https://api.example.com:99999/",
        "http://api.example.com/",
        "https://other.example.com/",
    ] {
        let Ok(request) = Request::get(uri).body(Body::default()) else { continue };
        let issuer = Issuer::default();
        let layer = layer(&issuer).only_for(["https://api.example.com"]).unwrap();
        let seen = seen_by_inner(layer, request).await;
        assert!(!seen.headers().contains_key(AUTHORIZATION), "{uri}");
        assert_eq!(issuer.fetches(), 0, "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_an_origin_that_was_named_gets_the_token() {
    for uri in [
        "https://api.example.com/",
        "https://API.Example.COM/a?b",
        "https://api.example.com:443/",
        "https://api.example.com./",
        "https://second.example.com:8443/",
        "/the/inner/clients/own/target",
    ] {
        let layer = layer(&Issuer::default())
            .only_for(["https://Api.example.com", "https://second.example.com:8443/"])
            .unwrap();
        let seen = seen_by_inner(layer, get(uri)).await;
        assert_eq!(seen.headers()[AUTHORIZATION], "Bearer t1", "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn connect_passes_through_without_a_token() {
    let issuer = Issuer::default();
    let request = Request::connect("evil.example:443").body(Body::default()).unwrap();
    let seen = seen_by_inner(layer(&issuer), request).await;
    assert!(!seen.headers().contains_key(AUTHORIZATION));
    assert_eq!(issuer.fetches(), 0);
}

#[test]
fn a_malformed_origin_is_an_error_when_the_layer_is_built() {
    for origin in [
        "",
        "api.example.com",
        "/path",
        "https://",
        "https://api.example.com/path",
        "https://api.example.com?secret",
        "https://api.example.com#secret",
        "https://user:secret@api.example.com",
        "https://api.example.com:99999",
        "https://api.example.com:",
        "not an origin",
    ] {
        let error = layer(&Issuer::default()).only_for([origin]).unwrap_err();
        assert!(error.is_config(), "{origin}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{origin}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_authorization_passes_untouched() {
    let issuer = Issuer::default();
    let mut request = get("http://api.example.com/");
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
    let seen = seen_by_inner(layer(&issuer), request).await;
    assert_eq!(seen.headers()[AUTHORIZATION], "Basic abc");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn overwrite_replaces_every_value_that_was_there() {
    let mut request = get("https://api.example.com/");
    request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
    request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("Basic def"));
    let seen = seen_by_inner(layer(&Issuer::default()).overwrite(), request).await;
    let values: Vec<_> = seen.headers().get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer t1"]);
}

#[tokio::test(start_paused = true)]
async fn an_extension_opts_a_request_out() {
    let issuer = Issuer::default();
    let mut request = get("http://api.example.com/");
    request.extensions_mut().insert(Anonymous);
    let seen = seen_by_inner(layer(&issuer), request).await;
    assert!(!seen.headers().contains_key(AUTHORIZATION));
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn exactly_one_authorization_is_sent_and_it_is_sensitive() {
    let seen = seen_by_inner(layer(&Issuer::default()), get("https://api.example.com/")).await;
    let values: Vec<_> = seen.headers().get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer t1"]);
    assert!(values[0].is_sensitive());
    assert!(!format!("{seen:?}").contains("t1"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_until_the_response_future_is_polled() {
    let issuer = Issuer::default();
    let (inner, mut handle): (Mock, Handle) = mock::pair();
    handle.allow(1);
    let mut client = layer(&issuer).layer(inner);
    let future =
        tower::Service::call(client.ready().await.unwrap(), get("https://api.example.com/"));
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(issuer.fetches(), 0);
    drop(future);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_permit_of_the_inner_service_is_held_during_a_fetch() {
    let issuer = Issuer::default().latency(seconds(5));
    let limited = tower::limit::ConcurrencyLimit::new(Api::of(&issuer), 1);
    let mut other = limited.clone();
    let mut client = layer(&issuer).layer(limited);
    let waiting = tokio::spawn(async move {
        send(&mut client, get("https://api.example.com/")).await.unwrap().status()
    });
    tokio::time::sleep(seconds(1)).await;
    let request = Request::get("https://api.example.com/").body(Body::default()).unwrap();
    let other = tokio::time::timeout(seconds(1), send(&mut other, request)).await;
    assert!(other.is_ok(), "the permit was held");
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_gives_its_permit_back() {
    let issuer = Issuer::default();
    let limited = tower::limit::ConcurrencyLimit::new(Api::of(&issuer), 1);
    let mut other = limited.clone();
    let mut client = layer(&issuer).layer(limited);
    send(&mut client, get("http://api.example.com/")).await.unwrap_err();
    let other = tokio::time::timeout(seconds(1), send(&mut other, get("https://api/"))).await;
    assert!(other.is_ok(), "the permit was held");
}

/// The mock panics if a clone is called that was not readied.
#[tokio::test(start_paused = true)]
async fn a_hit_calls_the_instance_that_was_readied() {
    for layer in [layer(&Issuer::default()), layer(&Issuer::default()).overwrite()] {
        let (inner, mut handle): (Mock, Handle) = mock::pair();
        let mut client = layer.clone().layer(inner.clone());
        let mut once = layer.no_replay().layer(inner);
        for _ in 0..3 {
            for first in [true, false] {
                let request = get("https://api.example.com/");
                let call = async {
                    match first {
                        true => send(&mut client, request).await,
                        false => send(&mut once, request).await,
                    }
                };
                let (response, ()) = tokio::join!(call, async {
                    handle.next_request().await.unwrap().1.send_response(answer(200));
                });
                assert_eq!(response.unwrap().status(), StatusCode::OK);
            }
        }
    }
}
