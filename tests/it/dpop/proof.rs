//! Keys, and what a proof says.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, Request, Uri};
use proptest::prelude::*;
use serde_json::Value;
use tower::{Layer, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, DpopKey, JwtAlgorithm, Secret, Token, fetch_fn};

use super::{token_of, *};
use crate::support::{Body, answer, send};

const P256: &str = include_str!("../../keys/p256.pem");

fn both() -> [DpopKey; 2] {
    [JwtAlgorithm::ES256, JwtAlgorithm::EdDSA].map(|one| DpopKey::generate(one).unwrap())
}

/// The headers that a request with a token bound to `key` is sent with.
async fn sent(key: &DpopKey, request: Request<Body>) -> Request<Body> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (note, bound) = (seen.clone(), key.clone());
    let tokens = fetch_fn(move |_| {
        let token = Token::dpop("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", &bound);
        async move { token }
    });
    let mut client = BearerAuthLayer::new(tokens).layer(service_fn(move |request| {
        *note.lock().unwrap() = Some(request);
        async { Ok::<_, BoxError>(answer(200)) }
    }));
    send(&mut client, request).await.unwrap();
    let request = seen.lock().unwrap().take();
    request.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_proof_names_its_request_and_token_and_is_signed() {
    for key in both() {
        let request = Request::post("https://API.example.com:443/orders/./7?page=2#top")
            .body(Body::default())
            .unwrap();
        let (token, proof) = token_of(&sent(&key, request).await, &key);
        assert_eq!(token, "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        // RFC 9449 section 7.1.
        assert_eq!(proof.ath.as_deref(), Some("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"));
        assert_eq!((&*proof.htm, &*proof.htu), ("POST", "https://api.example.com/orders/7"));
        assert_eq!(proof.nonce, None);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now - 60 < proof.iat && proof.iat <= now, "{proof:?}");
    }
}

#[tokio::test]
async fn a_key_is_read_from_pem() {
    let key = DpopKey::from_pem(P256).await.unwrap();
    let jwk: Value = serde_json::from_str(key.public_jwk()).unwrap();
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&"EC".into(), &"P-256".into()));
    let again = DpopKey::from_pem(Secret::from_fn(|| async { Ok::<_, BoxError>(P256) })).await;
    assert_eq!(again.unwrap().thumbprint(), key.thumbprint());
    for (pem, part) in [
        ("", "cannot sign DPoP proofs"),
        (include_str!("../../keys/rsa.pem"), "cannot sign DPoP proofs"),
    ] {
        let error = DpopKey::from_pem(pem).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(part), "{error}");
    }
    let error = DpopKey::from_pem(Secret::file("/there/is/none")).await.unwrap_err();
    assert!(error.to_string().contains("/there/is/none"), "{error}");
}

#[test]
fn a_key_of_another_kind_is_an_error_that_names_the_two() {
    let error = DpopKey::generate(JwtAlgorithm::RS256).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("ES256 or EdDSA"), "{error}");
}

#[test]
fn debug_shows_the_thumbprint_of_a_key_alone() {
    for key in both() {
        let shown = format!("{key:?}");
        assert!(shown.contains(key.thumbprint()), "{shown}");
        assert!(shown.len() < 120, "{shown}");
        let token = Token::dpop("Kz~8mXK1Ea", &key).unwrap();
        assert!(!format!("{token:?}").contains("Kz~8"));
    }
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::GET), Just(Method::POST), Just(Method::DELETE)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 32,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_proof_never_has_another_requests_method_or_uri(
        requests in prop::collection::vec((method(), "[a-z]{1,9}", "(/[a-z]{0,5}){0,3}", "(\\?[a-z=&]{0,9})?"), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let key = DpopKey::generate(JwtAlgorithm::EdDSA).unwrap();
        let mut proofs = Vec::new();
        for (method, host, path, query) in requests {
            let uri: Uri = format!("https://{host}.example.com{path}{query}").parse().unwrap();
            let request = Request::builder()
                .method(method.clone())
                .uri(uri.clone())
                .body(Body::default())
                .unwrap();
            let (_, proof) = token_of(&runtime.block_on(sent(&key, request)), &key);
            prop_assert_eq!(&proof.htm, method.as_str());
            let path = if uri.path().is_empty() { "/" } else { uri.path() };
            prop_assert_eq!(&proof.htu, &format!("https://{host}.example.com{path}"));
            proofs.push(proof);
        }
        assert_unique(&proofs);
    }
}
