//! Token requests with a proof.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, Response};
use tower::{Service, service_fn};
use tower_bearer::{
    ClientAuth, ClientCredentials, Dpop, DpopKey, Jwt, JwtAlgorithm, TokenCache, TokenError,
    TokenFetcher,
};

use super::{Read, assert_unique, proof};
use crate::support::*;

const ENDPOINT: &str = "https://issuer.example/token?tenant=7";

type Seen = Arc<Mutex<Vec<(Request<Body>, Read)>>>;

/// A token endpoint that answers each request in turn.
fn endpoint(
    key: &DpopKey,
    answers: impl IntoIterator<Item = Response<Body>>,
) -> (
    impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
    Seen,
) {
    let seen = Seen::default();
    let answers: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
    let (key, log) = (key.clone(), seen.clone());
    let service = service_fn(move |request: Request<Body>| {
        let read = proof(request.headers(), &key);
        log.lock().unwrap().push((request, read));
        let response = answers.lock().unwrap().remove(0);
        async move { Ok(response) }
    });
    (service, seen)
}

fn token(token_type: &str) -> Response<Body> {
    let body = format!(r#"{{"access_token":"abc","token_type":"{token_type}","expires_in":3600}}"#);
    Response::new(Body::from(body))
}

fn use_nonce(nonce: Option<&str>) -> Response<Body> {
    let body = r#"{"error":"use_dpop_nonce","error_description":"nonce is required"}"#;
    let mut response = Response::builder().status(400).body(Body::from(body)).unwrap();
    if let Some(nonce) = nonce {
        response.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
    }
    response
}

fn key() -> DpopKey {
    DpopKey::generate(JwtAlgorithm::ES256).unwrap()
}

async fn fetch<C>(client: C, key: &DpopKey) -> Result<tower_bearer::Token, TokenError>
where
    C: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let credentials = ClientCredentials::builder(client, ENDPOINT, "id", "secret")
        .dpop(Dpop::new(key.clone()))
        .build()?;
    TokenCache::new(credentials).token().await
}

#[tokio::test(start_paused = true)]
async fn a_token_request_has_a_proof_for_the_endpoint() {
    let key = key();
    let (client, seen) = endpoint(&key, [token("DPoP")]);
    let token = fetch(client, &key).await.unwrap();
    assert_eq!(token.header_value(), "DPoP abc");
    let seen = seen.lock().unwrap();
    let proof = &seen[0].1;
    assert_eq!((&*proof.htm, &*proof.htu), ("POST", "https://issuer.example/token"));
    assert_eq!((&proof.ath, &proof.nonce), (&None, &None));
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_the_issuer_asks_for_is_given_once() {
    let key = key();
    let answers = [use_nonce(Some("n1")), token("DPoP"), token("dpop")];
    let (client, seen) = endpoint(&key, answers);
    fetch(client.clone(), &key).await.unwrap();
    fetch(client, &key).await.unwrap();
    {
        let seen = seen.lock().unwrap();
        let nonces: Vec<_> = seen.iter().map(|(_, proof)| proof.nonce.as_deref()).collect();
        assert_eq!(nonces, [None, Some("n1"), Some("n1")]);
        assert_unique(seen.iter().map(|(_, proof)| proof));
    }

    let answers = [use_nonce(Some("n2")), use_nonce(Some("n3")), use_nonce(None)];
    let (client, seen) = endpoint(&key, answers);
    let error = fetch(client.clone(), &key).await.unwrap_err();
    assert_eq!(error.code(), Some("use_dpop_nonce"));
    assert_eq!(seen.lock().unwrap().len(), 2, "one more attempt, not two");
    fetch(client, &key).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 3, "without a nonce there is no point in one");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_an_assertion_of_its_own_too() {
    let key = key();
    let (client, seen) = endpoint(&key, [use_nonce(Some("n1")), token("DPoP")]);
    let pem = include_str!("../../keys/p256.pem");
    let auth = ClientAuth::assertion(Jwt::new(JwtAlgorithm::ES256, pem));
    let credentials = ClientCredentials::builder(client, "https://issuer.example/", "id", auth)
        .dpop(Dpop::new(key))
        .build()
        .unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    let seen = seen.lock().unwrap();
    let bodies: Vec<_> = seen.iter().map(|(request, _)| format!("{:?}", request.body())).collect();
    assert_ne!(bodies[0], bodies[1]);
}

#[tokio::test(start_paused = true)]
async fn a_bearer_token_where_a_bound_one_was_asked_for_is_an_error() {
    let key = key();
    for answer in [token("Bearer"), Response::new(Body::from(r#"{"access_token":"abc"}"#))] {
        let (client, _) = endpoint(&key, [answer]);
        let error = fetch(client, &key).await.unwrap_err();
        assert!(error.is_unsupported_token_type(), "{error}");
        assert!(error.to_string().contains("accept_bearer"), "{error}");
    }
    let (client, _) = endpoint(&key, [token("Bearer")]);
    let credentials = ClientCredentials::builder(client, ENDPOINT, "id", "secret")
        .dpop(Dpop::new(key).accept_bearer())
        .build()
        .unwrap();
    let token = TokenCache::new(credentials).token().await.unwrap();
    assert_eq!(token.header_value(), "Bearer abc");
}

#[tokio::test(start_paused = true)]
async fn a_bound_token_that_was_not_asked_for_is_an_error() {
    let client = service_fn(async |request: Request<Body>| {
        assert!(request.headers().get("dpop").is_none());
        Ok::<_, Infallible>(token("DPoP"))
    });
    let credentials = ClientCredentials::builder(client, ENDPOINT, "id", "secret").build().unwrap();
    let error = TokenCache::new(credentials).token().await.unwrap_err();
    assert!(error.is_unsupported_token_type() && error.to_string().contains("DPoP"), "{error}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let client = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(token("DPoP")));
    let builder = || ClientCredentials::builder(client, ENDPOINT, "id", "secret");
    let error = builder().dpop(Dpop::new(key())).token_prefix("Token ").build().unwrap_err();
    assert!(error.is_config() && error.to_string().contains("`token_prefix`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_never_repeats_the_proof() {
    let key = key();
    let seen: Arc<Mutex<Option<HeaderMap>>> = Arc::default();
    let log = seen.clone();
    let client = service_fn(move |request: Request<Body>| {
        let proof = request.headers()["dpop"].to_str().unwrap().to_owned();
        *log.lock().unwrap() = Some(request.headers().clone());
        let body = format!(r#"{{"error":"invalid_dpop_proof","error_description":"{proof}"}}"#);
        let response = Response::builder().status(400).body(Body::from(body)).unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    let error = fetch(client, &key).await.unwrap_err();
    let seen = seen.lock().unwrap().take().unwrap();
    let proof = seen["dpop"].to_str().unwrap();
    for shown in [format!("{error}"), format!("{error:?}"), format!("{:?}", error.description())] {
        assert!(
            !shown.contains(&proof[..40]) && !shown.contains(&proof[proof.len() - 40..]),
            "{shown}"
        );
    }
    assert!(!format!("{seen:?}").contains(&proof[..40]), "it is marked sensitive");
}

#[test]
fn clients_with_and_without_bound_tokens_share_none() {
    let client = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(token("DPoP")));
    let builder = || ClientCredentials::builder(client, ENDPOINT, "id", "secret");
    let key = key();
    let identities = [
        builder().build().unwrap().identity(),
        builder().dpop(Dpop::new(key.clone())).build().unwrap().identity(),
        builder().dpop(Dpop::new(key).accept_bearer()).build().unwrap().identity(),
        builder().dpop(Dpop::new(self::key())).build().unwrap().identity(),
    ];
    assert!(identities.iter().all(Option::is_some));
    let distinct: std::collections::HashSet<_> = identities.into_iter().collect();
    assert_eq!(distinct.len(), 4);
}
