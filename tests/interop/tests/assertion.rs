use form_urlencoded::parse;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;
use tower_bearer::{
    ClientAuth, ClientCredentials, Jwt, JwtAlgorithm, Secret, TokenCache, TokenError,
};

use crate::{
    http::Http,
    issuer::{credentials, issuer, jwks, key, orders, register, url},
};

/// A client whose keys are `tests/keys`.
async fn register_keys(id: &str) {
    let method = "private_key_jwt";
    register(json!({ "client_id": id, "token_endpoint_auth_method": method, "jwks": jwks() }))
        .await;
}

fn es256() -> Jwt {
    Jwt::new(JwtAlgorithm::ES256, key("p256"))
}

async fn refusal(id: &str, jwt: Jwt) -> TokenError {
    orders(credentials(id, ClientAuth::assertion(jwt))).await.unwrap_err()
}

#[tokio::test]
async fn a_key_of_each_kind_signs_for_the_client() {
    register_keys("private_key_jwt").await;
    for (algorithm, name) in [
        (JwtAlgorithm::RS256, "rsa"),
        (JwtAlgorithm::PS256, "rsa"),
        (JwtAlgorithm::ES256, "p256"),
        (JwtAlgorithm::EdDSA, "ed25519"),
    ] {
        let jwt = Jwt::new(algorithm, key(name));
        for jwt in [jwt.clone(), jwt.kid(name)] {
            let order = orders(credentials("private_key_jwt", ClientAuth::assertion(jwt))).await;
            assert_eq!(order.unwrap()["client_id"], "private_key_jwt", "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_signs_for_the_client() {
    for (id, secret) in [
        ("client_secret_jwt", "0123456789abcdef0123456789abcdef"),
        ("client_secret_jwt :%+/=&", "0123456789abcdef :%+/=& 0123456789abcdef"),
    ] {
        let method = "client_secret_jwt";
        let metadata = json!({
            "client_id": id, "client_secret": secret, "token_endpoint_auth_method": method,
        });
        register(metadata).await;
        let auth = ClientAuth::assertion(Jwt::new(JwtAlgorithm::HS256, secret));
        assert_eq!(orders(credentials(id, auth)).await.unwrap()["client_id"], id);
    }
}

#[tokio::test]
async fn an_assertion_is_for_the_token_endpoint_or_the_issuer_alone() {
    register_keys("audience").await;
    for audience in [url("/token"), issuer().to_owned()] {
        let auth = ClientAuth::assertion(es256().audience(audience));
        assert!(orders(credentials("audience", auth)).await.is_ok());
    }
    for audience in [format!("{}/", issuer()), "https://other.example".to_owned()] {
        let error = refusal("audience", es256().audience(audience)).await;
        assert!(error.is_refused(), "{error:?}");
        assert_eq!(error.code(), Some("invalid_client"));
    }
}

#[tokio::test]
async fn a_key_that_the_issuer_does_not_know_is_refused() {
    let jwks = json!({ "keys": [jwks()["keys"][0]] });
    let method = "private_key_jwt";
    register(json!({ "client_id": "key", "token_endpoint_auth_method": method, "jwks": jwks }))
        .await;
    let error = refusal("key", es256()).await;
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn an_assertion_is_good_once_and_so_each_request_has_its_own() {
    register_keys("once").await;
    let http = Http::new();
    let auth = ClientAuth::assertion(es256());
    let credentials = ClientCredentials::builder(http.clone(), url("/token"), "once", auth);
    let tokens = TokenCache::new(credentials.build().unwrap());
    let token = tokens.token().await.unwrap();
    tokens.reject(&token);
    tokens.token().await.unwrap();

    let mut assertions = Vec::new();
    for request in http.sent() {
        let form = request.into_body().collect().await.unwrap().to_bytes();
        let assertion = parse(&form).find(|(name, _)| name == "client_assertion").unwrap().1;
        assertions.push(assertion.into_owned());
    }
    let [first, second] = &assertions[..] else { panic!("{} requests", assertions.len()) };
    assert_ne!(first, second);

    let auth = ClientAuth::assertion(Secret::from(first.as_str()));
    let error = orders(crate::issuer::credentials("once", auth)).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_client"));
}
