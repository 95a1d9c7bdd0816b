//! What happens when an API refuses a token.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header::AUTHORIZATION};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, buffer::Buffer};
use tower_bearer::{
    BearerAuthLayer, BoxError, FetchReason, NotReplayed, Token, TokenCache, fetch_fn, rejection,
};
use tower_test::mock;

use crate::support::*;

const URI: &str = "https://api.example.com/orders?page=2";

fn why(response: &http::Response<Body>) -> Option<&NotReplayed> {
    response.extensions().get()
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_and_the_request_is_sent_once_more() {
    let issuer = Issuer::of(seconds(300));
    let api = Api::of(&issuer);
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(api.clone());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    issuer.revoke("t1");
    let response = send(&mut client, get(URI)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(why(&response).is_none());
    assert_eq!(api.seen(), ["t1", "t1", "t2"]);
    assert_eq!(issuer.lock().reasons, [FetchReason::Empty, FetchReason::Rejected]);
    assert_eq!(issuer.lock().rejected, ["t1"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_is_identical_but_for_the_token() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    let (inner, mut handle) = mock::pair::<Request<Body>, http::Response<Body>>();
    let mut client = BearerAuthLayer::new(Issuer::of(seconds(300))).layer(inner);
    let request = Request::builder()
        .method(Method::PUT)
        .uri(URI)
        .version(Version::HTTP_2)
        .header("x-one", "1")
        .header("x-two", "2a")
        .header("x-two", "2b")
        .extension(Mark(7))
        .body(Body::from("body"))
        .unwrap();
    let (response, (first, second)) = tokio::join!(send(&mut client, request), async {
        let (first, reply) = handle.next_request().await.unwrap();
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        reply.send_response(answer(200));
        (first, second)
    });
    assert_eq!(response.unwrap().status(), 200);
    let (mut first, first_body) = first.into_parts();
    let (mut second, second_body) = second.into_parts();
    assert_eq!(first.headers.remove(AUTHORIZATION).unwrap(), "Bearer t1");
    assert_eq!(second.headers.remove(AUTHORIZATION).unwrap(), "Bearer t2");
    assert_eq!(
        (&first.method, &first.uri, first.version, &first.headers),
        (&second.method, &second.uri, second.version, &second.headers)
    );
    assert_eq!(first.extensions.get::<Mark>(), second.extensions.get::<Mark>());
    let collect = |body| async { http_body_util::BodyExt::collect(body).await.unwrap().to_bytes() };
    let (first_body, second_body): (Bytes, Bytes) =
        (collect(first_body).await, collect(second_body).await);
    assert_eq!((&*first_body, &*second_body), (&b"body"[..], &b"body"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_second_attempt_is_the_callers() {
    let (inner, mut handle) = mock::pair::<Request<Body>, http::Response<Body>>();
    let mut client = BearerAuthLayer::new(Issuer::of(seconds(300))).layer(inner);
    let (response, ()) = tokio::join!(send(&mut client, get(URI)), async {
        handle.next_request().await.unwrap().1.send_response(answer(401));
        handle.next_request().await.unwrap().1.send_error("connection lost");
    });
    assert_eq!(response.unwrap_err().to_string(), "connection lost");
}

#[test]
fn a_401_is_a_rejection_unless_a_challenge_contradicts_it() {
    let refused = |challenge: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(challenge) = challenge {
            headers.insert("www-authenticate", HeaderValue::from_static(challenge));
        }
        rejection::unauthorized(StatusCode::UNAUTHORIZED, &headers)
    };
    assert!(refused(None));
    assert!(refused(Some("Bearer error=\"invalid_token\"")));
    assert!(refused(Some("Basic realm=\"x\"")));
    assert!(refused(Some("DPoP error=\"insufficient_scope\"")));
    for error in [
        "insufficient_scope",
        "invalid_request",
        "insufficient_claims",
        "insufficient_user_authentication",
    ] {
        let challenge = format!("Bearer realm=\"x\", error=\"{error}\"");
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", challenge.parse().unwrap());
        assert!(!rejection::unauthorized(StatusCode::UNAUTHORIZED, &headers), "{error}");
    }
    assert!(!rejection::unauthorized(StatusCode::FORBIDDEN, &HeaderMap::new()));
}

#[test]
fn in_grpc_the_http_status_counts_only_without_a_grpc_status() {
    let refused = |status: u16, headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|&(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        rejection::grpc(StatusCode::from_u16(status).unwrap(), &headers.collect())
    };
    let scope = ("www-authenticate", "Bearer error=\"insufficient_scope\"");
    for (status, headers, expected) in [
        (200, &[][..], false),
        (200, &[("grpc-status", "0")], false),
        (200, &[("grpc-status", "16")], true),
        (200, &[("grpc-status", "7")], false),
        (200, &[("grpc-status", "160")], false),
        (200, &[("grpc-status", "sixteen")], false),
        (200, &[("grpc-status", "16"), scope], false),
        (401, &[], true),
        (401, &[scope], false),
        (401, &[("grpc-status", "16")], true),
        (401, &[("grpc-status", "7")], false),
        (401, &[("grpc-status", "")], false),
        (403, &[], false),
        (503, &[("grpc-status", "16")], true),
    ] {
        assert_eq!(refused(status, headers), expected, "{status} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn users_can_say_what_a_rejection_is() {
    let issuer = Issuer::of(seconds(300));
    let (inner, mut handle) = mock::pair::<Request<Body>, http::Response<Body>>();
    let mut client = BearerAuthLayer::new(issuer)
        .rejected_when(|status, _| status == StatusCode::FORBIDDEN)
        .layer(inner);
    let (response, ()) = tokio::join!(send(&mut client, get(URI)), async {
        handle.next_request().await.unwrap().1.send_response(answer(403));
        handle.next_request().await.unwrap().1.send_response(answer(200));
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_original_401_is_returned_intact_when_the_fetch_fails() {
    let issuer = Issuer::of(seconds(300));
    let (inner, mut handle) = mock::pair::<Request<Body>, http::Response<Body>>();
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(inner);
    let (response, ()) = tokio::join!(send(&mut client, get(URI)), async {
        let (_, reply) = handle.next_request().await.unwrap();
        issuer.trouble(Trouble::Down);
        let mut refusal = answer(401);
        refusal.headers_mut().insert("x-trace", HeaderValue::from_static("abc"));
        *refusal.body_mut() = Body::from("original");
        reply.send_response(refusal);
    });
    let response = response.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["x-trace"], "abc");
    assert!(matches!(why(&response), Some(NotReplayed::NoToken(error)) if error.is_transient()));
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(&*body, b"original");
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_held_while_a_refused_token_is_replaced() {
    let issuer = Issuer::of(seconds(300));
    let limited = tower::limit::ConcurrencyLimit::new(Api::of(&issuer), 1);
    let mut other = limited.clone();
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(limited);
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke("t1");
    issuer.lock().latency = seconds(5);
    let waiting = tokio::spawn(async move { send(&mut client, get(URI)).await.unwrap().status() });
    tokio::time::sleep(seconds(1)).await;
    let other = tokio::time::timeout(seconds(1), send(&mut other, get(URI))).await;
    assert!(other.is_ok(), "the permit was held");
    assert_eq!(waiting.await.unwrap(), 200);
}

/// If another task waits for the response, nobody can see that the request waits for itself.
#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_own_fetch_fails() {
    for another_task in [false, true] {
        let issuer = Issuer::of(seconds(300));
        let api = Api::of(&issuer);
        let slot: Arc<Mutex<Option<TokenCache>>> = Arc::default();
        let cache = TokenCache::new(fetch_fn({
            let slot = slot.clone();
            move |_| {
                let own = slot.lock().unwrap().clone().unwrap();
                let client = BearerAuthLayer::new(own).layer(api.clone());
                async move {
                    let request = get("https://issuer.example.com/");
                    let response = Buffer::new(client, 1).oneshot(request);
                    match another_task {
                        true => tokio::spawn(response).await??,
                        false => response.await?,
                    };
                    Ok::<_, BoxError>(Token::bearer("never")?)
                }
            }
        }));
        *slot.lock().unwrap() = Some(cache.clone());
        let started = Instant::now();
        let error = cache.token().await.unwrap_err();
        if another_task {
            assert!(error.is_timeout(), "{error:?}");
            assert_eq!(started.elapsed(), seconds(10));
        } else {
            assert!(error.is_config(), "{error:?}");
            assert_eq!(started.elapsed(), seconds(0));
        }
        slot.lock().unwrap().take();
    }
}
