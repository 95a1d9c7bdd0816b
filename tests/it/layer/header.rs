//! APIs that want the token in a header of their own.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use tower::{Layer, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, TokenError, fetch_fn};

use crate::support::*;

const SHOPIFY: HeaderName = HeaderName::from_static("x-shopify-access-token");

async fn seen(layer: BearerAuthLayer, request: Request<Body>) -> HeaderMap {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let keep = seen.clone();
    let mut client = layer.layer(service_fn(move |request: Request<Body>| {
        *keep.lock().unwrap() = request.headers().clone();
        async { Ok::<_, BoxError>(answer(200)) }
    }));
    send(&mut client, request).await.unwrap();
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn layer() -> BearerAuthLayer {
    let tokens = TokenCache::new(fetch_fn(async |_| Token::prefixed("", "tok")));
    BearerAuthLayer::new(tokens).header(SHOPIFY)
}

fn request(name: HeaderName) -> Request<Body> {
    let mut request = get("https://api.example.com/");
    request.headers_mut().insert(name, HeaderValue::from_static("mine"));
    request
}

#[tokio::test(start_paused = true)]
async fn the_token_goes_into_the_header_that_is_named_and_no_other() {
    let headers = seen(layer(), get("https://api.example.com/")).await;
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[SHOPIFY], "tok");
    assert!(headers[SHOPIFY].is_sensitive());
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_value_counts_in_that_header_only() {
    let headers = seen(layer(), request(SHOPIFY)).await;
    assert_eq!(headers[SHOPIFY], "mine");
    let headers = seen(layer(), request(AUTHORIZATION)).await;
    assert_eq!(
        (&headers[SHOPIFY], &headers[AUTHORIZATION]),
        (&"tok".parse().unwrap(), &"mine".parse().unwrap())
    );
    let headers = seen(layer().overwrite(), request(SHOPIFY)).await;
    assert_eq!(headers.get_all(SHOPIFY).iter().collect::<Vec<_>>(), ["tok"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_in_that_header() {
    let issuer = Issuer::of(seconds(300));
    let accepting = issuer.clone();
    let api = service_fn(move |request: Request<Body>| {
        assert!(!request.headers().contains_key(AUTHORIZATION));
        let values: Vec<_> = request.headers().get_all(SHOPIFY).iter().collect();
        let [value] = values[..] else { panic!("{values:?}") };
        let token = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let status = if accepting.accepts(token) { 200 } else { 401 };
        async move { Ok::<_, BoxError>(answer(status)) }
    });
    let mut client = BearerAuthLayer::new(issuer.clone()).header(SHOPIFY).layer(api);
    send(&mut client, get("https://api.example.com/")).await.unwrap();
    issuer.revoke("t1");
    let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn a_prefix_is_checked_and_no_part_of_the_token() {
    for prefix in ["Token\n", "é ", " Token ", "\u{7f}"] {
        let error = Token::prefixed(prefix, "tok").unwrap_err();
        assert!(error.is_config(), "{error:?}");
    }
    let invalid = |token| Token::prefixed("Token ", token).unwrap_err();
    assert!(["", "a b", "a\n"].into_iter().map(invalid).all(|e: TokenError| e.is_invalid_token()));
    let token = Token::prefixed("Bearer ", "Bearer").unwrap();
    assert_eq!(
        (token.expose(), token.header_value()),
        ("Bearer", &"Bearer Bearer".parse().unwrap())
    );
}
