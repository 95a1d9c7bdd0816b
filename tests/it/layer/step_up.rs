//! An API that has accepted the token, and wants one that says more.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials, NotReplayed, Shared, Token, TokenCache,
    TokenError, TokenFetcher, fetch_fn, testing::MemoryStore,
};

use crate::support::*;

const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;

fn challenge(claims: &str) -> HeaderValue {
    let challenge = format!(
        r#"Bearer realm="", authorization_uri="https://login.example.com/", error="insufficient_claims", claims="{claims}""#
    );
    challenge.parse().unwrap()
}

/// The claims that each fetch was asked for, and tokens `t1`, `t2`, and so on.
#[derive(Clone, Default)]
struct Claims(Arc<Mutex<Vec<Option<String>>>>);

impl Claims {
    fn tokens(&self) -> TokenCache {
        TokenCache::new(self.fetcher())
    }

    fn fetcher(&self) -> impl TokenFetcher {
        let asked = self.0.clone();
        fetch_fn(move |context| {
            let mut asked = asked.lock().unwrap();
            asked.push(context.claims().map(str::to_owned));
            let token = format!("t{}", asked.len());
            async move { Ok::<_, BoxError>(Token::bearer(&token)?.expires_in(seconds(3600))) }
        })
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().clone()
    }
}

/// Answers `status` with this challenge to all tokens but one.
fn wants(
    token: &'static str,
    status: u16,
    challenge: HeaderValue,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(move |request: Request<Body>| {
        let mut response = answer(200);
        if request.headers()[AUTHORIZATION] != format!("Bearer {token}") {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert("www-authenticate", challenge.clone());
        }
        async move { Ok(response) }
    })
}

fn encoded() -> HeaderValue {
    challenge(&BASE64_STANDARD.encode(CLAIMS))
}

#[tokio::test(start_paused = true)]
async fn a_token_with_the_claims_is_fetched_and_the_request_resent() {
    let claims = Claims::default();
    let layer = BearerAuthLayer::new(claims.tokens()).insufficient_claims();
    let mut client = layer.layer(wants("t2", 401, encoded()));
    for _ in 0..10 {
        let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(claims.asked(), [None, Some(CLAIMS.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn only_a_token_with_the_claims_is_shared_for_them() {
    let (claims, store) = (Claims::default(), MemoryStore::new());
    let replica = || TokenCache::new(Shared::new(claims.fetcher(), store.clone()).name("orders"));
    let (one, other) = (replica(), replica());
    let first = one.token().await.unwrap();
    other.token().await.unwrap();
    other.reject(&first);
    assert_eq!(other.token().await.unwrap().expose(), "t2");

    for tokens in [one, other] {
        let layer = BearerAuthLayer::new(tokens).insufficient_claims();
        let mut client = layer.layer(wants("t3", 401, encoded()));
        let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(claims.asked(), [None, None, Some(CLAIMS.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_challenges_costs_one_fetch() {
    let claims = Claims::default();
    let layer = BearerAuthLayer::new(claims.tokens()).insufficient_claims();
    let client = layer.layer(wants("t2", 401, encoded()));
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                send(&mut client, get("https://api.example.com/")).await.unwrap().status()
            })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(claims.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_for_claims_is_the_callers_unless_configured() {
    let claims = Claims::default();
    let mut client = BearerAuthLayer::new(claims.tokens()).layer(wants("t2", 401, encoded()));
    let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(claims.asked(), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_is_malformed_or_too_large_is_ignored() {
    let large = BASE64_STANDARD.encode(format!(r#"{{"a":"{}"}}"#, "a".repeat(4096)));
    let array = BASE64_STANDARD.encode("[1]");
    let no_text = BASE64_STANDARD.encode([0xff, 0xfe]);
    for malformed in ["", "%%%", "e30", &array, &no_text, &large] {
        let claims = Claims::default();
        let layer = BearerAuthLayer::new(claims.tokens()).insufficient_claims();
        let mut client = layer.layer(wants("t2", 401, challenge(malformed)));
        let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
        if malformed == "e30" {
            // `{}` without padding, which is in order.
            assert_eq!(response.status(), StatusCode::OK);
            continue;
        }
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{malformed}");
        assert!(response.extensions().get::<NotReplayed>().is_none());
        assert_eq!(claims.asked(), [None], "{malformed}");
    }
}

#[tokio::test(start_paused = true)]
async fn claims_that_the_issuer_does_not_give_cost_a_few_fetches() {
    let claims = Claims::default();
    let layer = BearerAuthLayer::new(claims.tokens()).insufficient_claims();
    let mut client = layer.layer(wants("never", 401, encoded()));
    for _ in 0..100 {
        let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(claims.asked().len(), 2, "the first token, and one more");
    let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert!(matches!(response.extensions().get(), Some(NotReplayed::Cooldown)));
}

#[tokio::test(start_paused = true)]
async fn without_a_second_attempt_the_challenge_is_the_callers() {
    let claims = Claims::default();
    let layer = BearerAuthLayer::new(claims.tokens()).insufficient_claims().no_replay();
    let mut client = layer.layer(wants("t2", 401, encoded()));
    let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(claims.asked(), [None]);
}

#[tokio::test(start_paused = true)]
async fn client_credentials_send_the_claims_to_the_issuer() {
    let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let issuer = service_fn({
        let bodies = bodies.clone();
        move |request: Request<Full<Bytes>>| {
            let bodies = bodies.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let mut bodies = bodies.lock().unwrap();
                bodies.push(body);
                let token =
                    format!(r#"{{"access_token":"t{}","token_type":"Bearer"}}"#, bodies.len());
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(token)))
            }
        }
    });
    let credentials =
        ClientCredentials::builder(issuer, "https://login.example.com/token", "id", "secret")
            .build()
            .unwrap();
    let layer = BearerAuthLayer::new(credentials).insufficient_claims();
    let mut client = layer.layer(wants("t2", 401, encoded()));
    let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let bodies = bodies.lock().unwrap();
    let claims = |body: &Bytes| {
        form_urlencoded::parse(body)
            .find(|(name, _)| name == "claims")
            .map(|(_, value)| value.into_owned())
    };
    assert_eq!(bodies.iter().map(claims).collect::<Vec<_>>(), [None, Some(CLAIMS.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn claims_that_the_issuer_denies_are_not_sent_again() {
    let asked: Arc<Mutex<Vec<bool>>> = Arc::default();
    let tokens = TokenCache::new(fetch_fn({
        let asked = asked.clone();
        move |context| {
            let mut asked = asked.lock().unwrap();
            asked.push(context.claims().is_some());
            let token = match context.claims() {
                Some(_) => Err(TokenError::refused("no such claims")),
                None => Token::bearer(&format!("t{}", asked.len())),
            };
            async move { Ok::<_, TokenError>(token?.expires_in(seconds(3600))) }
        }
    }));
    let layer = BearerAuthLayer::new(tokens.clone()).insufficient_claims();
    let mut client = layer.layer(wants("never", 401, encoded()));
    send(&mut client, get("https://api.example.com/")).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [false, true]);
    // Another API's requests go on, with a token that is renewed without the claims.
    for _ in 0..60 {
        tokio::time::advance(seconds(1)).await;
        tokens.token().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(*asked.lock().unwrap(), [false, true, false]);
}
