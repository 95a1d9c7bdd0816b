//! Tokens that are bound to a key (RFC 9449), at an issuer and an API that both want nonces.

use http::{Request, StatusCode};
use serde_json::json;
use tower::Layer;
use tower_bearer::{BearerAuthLayer, ClientAuth, Dpop, DpopKey, Jwt, JwtAlgorithm, TokenCache};

use crate::{
    http::{Body, Http, send},
    issuer::{credentials, get_orders, jwks, key, register, url},
    revocation::revoke,
};

async fn register_bound(id: &str) {
    register(json!({
        "client_id": id,
        "client_secret": "s3cr3t",
        "dpop_bound_access_tokens": true,
    }))
    .await;
}

/// The API wants to see another nonce from this client, and does not say so before.
async fn change_nonce(id: &str) {
    let request = Request::post(url(&format!("/nonce?client_id={id}")));
    let request = request.body(Body::default()).unwrap();
    assert_eq!(send(Http::new(), request).await.unwrap().0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_bound_token_is_fetched_used_revoked_and_replaced() {
    for algorithm in [JwtAlgorithm::ES256, JwtAlgorithm::EdDSA] {
        let id = format!("bound-{algorithm:?}");
        register_bound(&id).await;
        let key = DpopKey::generate(algorithm).unwrap();
        let tokens =
            TokenCache::new(credentials(&id, "s3cr3t").dpop(Dpop::new(key)).build().unwrap());
        let http = Http::new();
        let client = BearerAuthLayer::new(tokens.clone()).layer(http.clone());
        for page in 0..10 {
            if page % 3 == 2 {
                change_nonce(&id).await;
            }
            let request = Request::get(url(&format!("/orders?page={page}")));
            let request = request.body(Body::default()).unwrap();
            let (status, order) = send(client.clone(), request).await.unwrap();
            assert_eq!(status, StatusCode::OK, "{order}");
            assert_eq!(order["client_id"], json!(id));
        }
        let mut used = http.tokens();
        assert_eq!(used.len(), 10 + 4, "one more for the first nonce and for each change");
        used.dedup();
        assert_eq!(used.len(), 1, "a nonce is no reason for another token");

        revoke(&id, "s3cr3t", &used[0]).await;
        let (status, _) = send(client.clone(), get_orders()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        let token = tokens.peek().unwrap();
        assert_ne!(token.expose(), used[0]);

        // As a bearer token it is worth nothing.
        let stolen = Request::get(url("/orders"))
            .header("authorization", format!("Bearer {}", token.expose()))
            .body(Body::default())
            .unwrap();
        assert_eq!(send(Http::new(), stolen).await.unwrap().0, StatusCode::UNAUTHORIZED);
        // And with a proof that was used already it is not worth more.
        let used = http.sent().pop().unwrap();
        assert_eq!(send(Http::new(), used).await.unwrap().0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_assertion_and_a_proof_go_together_with_a_key_from_pem() {
    register(json!({
        "client_id": "bound by pem",
        "token_endpoint_auth_method": "private_key_jwt",
        "dpop_bound_access_tokens": true,
        "jwks": jwks(),
    }))
    .await;
    let auth = ClientAuth::assertion(Jwt::new(JwtAlgorithm::ES256, key("p256")).kid("p256"));
    let bound = DpopKey::from_pem(key("ed25519")).await.unwrap();
    let credentials = credentials("bound by pem", auth).dpop(Dpop::new(bound)).build().unwrap();
    let client = BearerAuthLayer::new(credentials).layer(Http::new());
    let (status, order) = send(client, get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(order["client_id"], "bound by pem");
}

#[tokio::test]
async fn a_client_that_is_registered_for_bearer_tokens_is_told_so() {
    register(json!({ "client_id": "bound nowhere", "client_secret": "s3cr3t" })).await;
    let unbound = credentials("bound nowhere", "s3cr3t").build().unwrap();
    let token = TokenCache::new(unbound).token().await.unwrap();
    assert!(token.header_value().to_str().unwrap().starts_with("Bearer "));
    // This issuer binds what comes with a proof, whatever the registration says.
    let key = DpopKey::generate(JwtAlgorithm::ES256).unwrap();
    let bound = credentials("bound nowhere", "s3cr3t").dpop(Dpop::new(key)).build().unwrap();
    let token = TokenCache::new(bound).token().await.unwrap();
    assert!(token.header_value().to_str().unwrap().starts_with("DPoP "));
    // And it refuses a request without one from a client that has to bind.
    register_bound("bound always").await;
    let error = TokenCache::new(credentials("bound always", "s3cr3t").build().unwrap());
    let error = error.token().await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
}
