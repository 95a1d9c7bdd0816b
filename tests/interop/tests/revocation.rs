use form_urlencoded::Serializer;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, ClientCredentials, TokenCache};

use crate::{
    http::{Body, Http, send},
    issuer::{credentials, get_orders, issuer, register_secret, url},
};

/// RFC 7009 section 2.1.
pub async fn revoke(id: &str, secret: &str, token: &str) {
    let form = Serializer::new(String::new())
        .extend_pairs([("token", token), ("client_id", id), ("client_secret", secret)])
        .finish();
    let request = Request::post(url("/token/revocation"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let (status, answer) = send(Http::new(), request).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// RFC 7009, through the cache: the endpoint given, or found in the metadata.
#[tokio::test]
async fn a_cache_has_its_token_revoked() {
    register_secret("shut down", "s3cr3t").await;
    let given = credentials("shut down", "s3cr3t").revocation_endpoint(url("/token/revocation"));
    let found = ClientCredentials::discover(Http::new(), issuer(), "shut down", "s3cr3t");
    for credentials in [given, found] {
        let tokens = TokenCache::new(credentials.build().unwrap());
        let token = tokens.token().await.unwrap();
        let call = async || {
            let request = Request::get(url("/orders"))
                .header("authorization", token.header_value())
                .body(Body::default())
                .unwrap();
            send(Http::new(), request).await.unwrap().0
        };
        assert_eq!(call().await, StatusCode::OK);
        tokens.revoke().await.unwrap();
        assert_eq!(call().await, StatusCode::UNAUTHORIZED);
        let again = tokens.token().await.unwrap();
        assert_ne!(again.expose(), token.expose());
    }
}

#[tokio::test]
async fn a_request_with_a_revoked_token_is_sent_once_more() {
    register_secret("revoked", "s3cr3t").await;
    let http = Http::new();
    let credentials = credentials("revoked", "s3cr3t").build().unwrap();
    let client = BearerAuthLayer::new(credentials).layer(http.clone());
    let (status, _) = send(client.clone(), get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::OK);

    revoke("revoked", "s3cr3t", &http.tokens()[0]).await;
    let (status, order) = send(client, get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(order["client_id"], "revoked");

    let tokens = http.tokens();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
}
