use serde_json::json;
use tower_bearer::{ClientAuth, ClientCredentials};

use crate::{
    http::{CERTIFICATE, Http},
    issuer::{credentials, jwks, orders, register, url},
};

/// RFC 8705 section 2.2.
#[tokio::test]
async fn the_certificate_of_the_http_client_stands_for_the_client() {
    let mut jwk = jwks()["keys"][1].clone();
    let lines = CERTIFICATE.lines().filter(|line| !line.starts_with("-----"));
    jwk["x5c"] = json!([lines.collect::<String>()]);
    let metadata = json!({
        "client_id": "certificate",
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": { "keys": [jwk] },
    });
    register(metadata).await;

    let http = Http::with_certificate();
    let with = ClientCredentials::builder(http, url("/token"), "certificate", ClientAuth::none());
    assert_eq!(orders(with).await.unwrap()["client_id"], "certificate");

    let error = orders(credentials("certificate", ClientAuth::none())).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_client"));
}
