use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use serde_json::json;
use tower_bearer::{ClientAuth, Secret};

use crate::issuer::{credentials, orders, register, register_secret, try_register};

/// A space, and each printable character of ASCII (RFC 6749 appendix A).
const EVERY_CHARACTER: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                               [\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

const SECRETS: [&str; 11] = [
    "s3cr3t",
    ":",
    "%",
    "+",
    "/",
    "=",
    "&",
    "a:b%c+d/e=f&g",
    "already%3Aencoded%2B",
    " spaces around ",
    EVERY_CHARACTER,
];

#[tokio::test]
async fn any_secret_gets_a_token_by_basic() {
    for (n, secret) in SECRETS.into_iter().enumerate() {
        let id = format!("basic {n}");
        register_secret(&id, secret).await;
        let order = orders(credentials(&id, ClientAuth::basic(secret))).await;
        assert_eq!(order.unwrap()["client_id"], id, "{secret}");
    }
}

#[tokio::test]
async fn any_secret_gets_a_token_by_post() {
    for (n, secret) in SECRETS.into_iter().enumerate() {
        let id = format!("post {n}");
        let method = "client_secret_post";
        let metadata = json!({
            "client_id": id, "client_secret": secret, "token_endpoint_auth_method": method,
        });
        register(metadata).await;
        let order = orders(credentials(&id, ClientAuth::post(secret))).await;
        assert_eq!(order.unwrap()["client_id"], id, "{secret}");
    }
}

#[tokio::test]
async fn any_client_id_gets_a_token() {
    for id in ["https://orders.example/a?b=c&d=%20+", EVERY_CHARACTER] {
        register_secret(id, "s3cr3t").await;
        for auth in [ClientAuth::basic("s3cr3t"), ClientAuth::post("s3cr3t")] {
            assert_eq!(orders(credentials(id, auth)).await.unwrap()["client_id"], id);
        }
    }
}

/// The issuer decodes what it gets. What it cannot decode is to it no matter of the client.
#[tokio::test]
async fn a_secret_that_encoding_changes_is_refused_unencoded() {
    for (secret, code) in [("a+b", "invalid_client"), ("100%", "invalid_request")] {
        let id = format!("unencoded {code}");
        register_secret(&id, secret).await;
        let auth = ClientAuth::basic_unencoded(secret);
        let error = orders(credentials(&id, auth)).await.unwrap_err();
        assert!(error.is_refused(), "{error:?}");
        assert_eq!(error.code(), Some(code));
    }
}

#[tokio::test]
async fn a_secret_of_plain_characters_gets_a_token_unencoded() {
    register_secret("unencoded", "s3cr3t-._").await;
    let auth = ClientAuth::basic_unencoded("s3cr3t-._");
    assert!(orders(credentials("unencoded", auth)).await.is_ok());
}

/// RFC 6749 appendix A.2 has no such secrets, and this issuer keeps to that.
#[tokio::test]
async fn a_secret_beyond_ascii_is_not_registered_and_not_accepted() {
    let secret = "schlüssel-🔑";
    let metadata = json!({ "client_id": "beyond ascii", "client_secret": secret });
    let (status, answer) = try_register(metadata).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"], "invalid_client_metadata");

    register_secret("beyond ascii", "s3cr3t").await;
    for (auth, code) in [
        (ClientAuth::basic(secret), "invalid_request"),
        (ClientAuth::basic_unencoded(secret), "invalid_request"),
        (ClientAuth::post(secret), "invalid_client"),
    ] {
        let error = orders(credentials("beyond ascii", auth)).await.unwrap_err();
        assert!(error.is_refused(), "{error:?}");
        assert_eq!(error.code(), Some(code), "{error:?}");
    }
}

#[tokio::test]
async fn a_secret_that_changed_since_it_was_refused_gets_a_token() {
    register_secret("rotating", "n3w").await;
    let first = AtomicBool::new(true);
    let secret = Secret::from_fn(move || {
        let secret = if first.swap(false, Ordering::Relaxed) { "0ld" } else { "n3w" };
        async move { Ok::<_, std::io::Error>(secret) }
    });
    let order = orders(credentials("rotating", ClientAuth::basic(secret))).await;
    assert_eq!(order.unwrap()["client_id"], "rotating");
}
