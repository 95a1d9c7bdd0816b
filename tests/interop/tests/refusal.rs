use http::StatusCode;
use serde_json::json;
use tower_bearer::ClientAuth;

use crate::issuer::{credentials, orders, register, register_secret};

#[tokio::test]
async fn a_wrong_secret_is_a_refusal_of_the_client() {
    register_secret("wrong secret", "s3cr3t").await;
    for auth in [ClientAuth::basic("wr0ng"), ClientAuth::post("wr0ng")] {
        let error = orders(credentials("wrong secret", auth)).await.unwrap_err();
        assert!(error.is_refused(), "{error:?}");
        assert_eq!(error.code(), Some("invalid_client"));
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
}

#[tokio::test]
async fn an_unknown_client_is_a_refusal_of_the_client() {
    let error = orders(credentials("nobody", "s3cr3t")).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_client"));
}

#[tokio::test]
async fn a_scope_that_the_client_may_not_have_is_denied() {
    let metadata = json!({
        "client_id": "wrong scope", "client_secret": "s3cr3t", "scope": "orders:read",
    });
    register(metadata).await;
    let credentials = credentials("wrong scope", "s3cr3t").scope("orders:write");
    let error = orders(credentials).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_scope"));
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn two_resources_are_more_than_this_issuer_takes() {
    register_secret("resources", "s3cr3t").await;
    let credentials = credentials("resources", "s3cr3t")
        .param("resource", "https://api.example/orders")
        .param("resource", "https://api.example/stock");
    let error = orders(credentials).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_target"));
}
