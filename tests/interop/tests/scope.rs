use crate::issuer::{credentials, orders, register_secret};

#[tokio::test]
async fn the_token_has_the_scopes_that_were_asked_for() {
    register_secret("scopes", "s3cr3t").await;
    let credentials = credentials("scopes", "s3cr3t").scope("orders:read orders:write");
    assert_eq!(orders(credentials).await.unwrap()["scope"], "orders:read orders:write");
}

#[tokio::test]
async fn an_unknown_scope_is_left_out_of_the_token() {
    register_secret("unknown scope", "s3cr3t").await;
    let credentials = credentials("unknown scope", "s3cr3t").scope("orders:read orders:burn");
    assert_eq!(orders(credentials).await.unwrap()["scope"], "orders:read");
}

/// RFC 8707.
#[tokio::test]
async fn the_token_is_for_the_resource_that_was_asked_for() {
    register_secret("resource", "s3cr3t").await;
    let resource = "https://api.example/orders?all=1";
    let credentials = credentials("resource", "s3cr3t")
        .scope("orders:read orders:write")
        .param("resource", resource);
    let order = orders(credentials).await.unwrap();
    assert_eq!(order["aud"], resource);
    assert_eq!(order["scope"], "orders:read");
}
