//! Issuers, clients and settings that are out to make a token request show or do too much.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Placement, Secret, TokenCache,
    TokenError,
};

use crate::client_credentials::token_endpoint::*;

const LEFT_OUT: &str = "[left out: it repeats a secret]";

fn with(endpoint: &TokenEndpoint, auth: ClientAuth) -> ClientCredentialsBuilder<TokenEndpoint> {
    ClientCredentials::builder(endpoint.clone(), URL, "client", auth)
}

async fn failure(credentials: ClientCredentialsBuilder<TokenEndpoint>) -> TokenError {
    TokenCache::new(credentials.build().unwrap()).token().await.expect_err("a token")
}

#[tokio::test]
async fn a_description_made_to_be_slow_to_search_for_a_token_is_not() {
    let (token, text) = ("A".repeat(60_000), "A".repeat(120_000));
    let body = format!(r#"{{"access_token":"{token}B","error":"x","error_description":"{text}"}}"#);
    let endpoint = TokenEndpoint::new([json(200, &body)]);
    let started = Instant::now();
    assert!(failure(endpoint.credentials()).await.is_refused());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_description_made_to_be_slow_to_search_for_a_secret_is_not() {
    let auth = ClientAuth::post("A".repeat(30_000) + "B");
    let text = "A".repeat(200_000);
    let body = format!(r#"{{"error":"invalid_client","error_description":"{text}"}}"#);
    let endpoint = TokenEndpoint::new([json(401, &body)]);
    let started = Instant::now();
    assert!(failure(with(&endpoint, auth)).await.is_refused());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_description_that_repeats_the_token_beside_it_is_left_out() {
    let body = r#"{"access_token":"T0K3N","error":"denied","error_description":"t0k3n is no use"}"#;
    let error = failure(TokenEndpoint::new([json(200, body)]).credentials()).await;
    assert_eq!((error.code(), error.description()), (Some("denied"), Some(LEFT_OUT)));
    let body = r#"{"access_token":"T0K3N","error":"no T0K3N for you","error_description":"b"}"#;
    let error = failure(TokenEndpoint::new([json(200, body)]).credentials()).await;
    assert_eq!((error.code(), error.description()), (Some(LEFT_OUT), Some("b")));
}

/// Another text each time.
fn changing() -> Secret {
    let next = AtomicU32::new(0);
    Secret::from_fn(move || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, TokenError>(format!("fresh-{n}")) }
    })
}

#[tokio::test(start_paused = true)]
async fn a_password_is_not_sent_twice_because_an_assertion_is_new() {
    for code in ["invalid_grant", "invalid_client"] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        let endpoint = TokenEndpoint::new([json(400, &body)]);
        let credentials = with(&endpoint, ClientAuth::assertion(changing()));
        failure(credentials.grant(Grant::legacy_password("user", "wrong"))).await;
        assert_eq!(endpoint.requests(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_sent_twice_because_a_parameter_is_new() {
    let endpoint = TokenEndpoint::new([json(401, r#"{"error":"invalid_client"}"#)]);
    failure(endpoint.credentials().secret_param("subject_token", changing())).await;
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_not_sent_where_the_issuer_asked_for_time() {
    let body = r#"{"error":"invalid_client"}"#;
    let asks = answer(401, &[("retry-after", "60")], body);
    for only in [asks, json(429, body)] {
        let endpoint = TokenEndpoint::new([only]);
        failure(with(&endpoint, ClientAuth::post(changing()))).await;
        assert_eq!(endpoint.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_not_sent_where_no_secret_was_refused() {
    for only in [json(400, r#"{"error":"invalid_scope"}"#), json(404, ""), json(302, "")] {
        let endpoint = TokenEndpoint::new([only]);
        failure(with(&endpoint, ClientAuth::post(changing()))).await;
        assert_eq!(endpoint.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_has_changed_is_sent_once_more() {
    let refuses = || json(400, r#"{"error":"invalid_grant"}"#);
    let endpoint = TokenEndpoint::new([refuses(), refuses()]);
    failure(endpoint.credentials().grant(Grant::legacy_password("user", changing()))).await;
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_hidden_however_json_escapes_it() {
    for (secret, text) in [
        ("Zm9v/YmFyMTIz", r"Zm9v\/YmFyMTIz"),
        ("Zm9v+YmFyMTIz", r"Zm9v\u002BYmFyMTIz"),
        ("Zm9v&YmFyMTIz", r"Zm9v\u0026YmFyMTIz"),
        ("Zm9v\u{1f511}YmFyMTIz", r"Zm9v\ud83d\udd11YmFyMTIz"),
        ("it's\"YmFyMTIz", r#"it's\"YmFyMTIz"#),
    ] {
        let body = format!(r#"{{"message":"wrong secret {text}"}}"#);
        let endpoint = TokenEndpoint::new([json(401, &body)]);
        let shown = shown(&failure(with(&endpoint, ClientAuth::post(secret))).await);
        assert!(shown.contains(LEFT_OUT) && !shown.contains("YmFyMTIz"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_hidden_where_the_clients_error_debugs_it() {
    let failed = || Answer::Error(format!("refused: {:?}", "it's\"hunter2").into());
    let endpoint = TokenEndpoint::new([failed(), failed()]);
    let shown = shown(&failure(with(&endpoint, ClientAuth::post("it's\"hunter2"))).await);
    assert!(shown.contains(LEFT_OUT) && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_final_code_is_found_in_an_answer_that_is_not_quite_sound() {
    for body in [
        &b"{\"error\":\"invalid_grant\",\"error_description\":\"ung\xfcltig\"}"[..],
        br#"{"error":"invalid_grant","scope":"","scope":""}"#,
        br#"{"error":"invalid_grant","error_description":"a","error_description":"b"}"#,
    ] {
        let endpoint = TokenEndpoint::new([answer(500, &[], body)]);
        let error =
            failure(endpoint.credentials().grant(Grant::legacy_password("user", "wrong"))).await;
        assert!(error.is_refused() && endpoint.requests() == 1, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_of_the_configured_query_is_hidden_everywhere() {
    let body = r#"{"error":"invalid_request","error_description":"unknown key fk-S3CR3T"}"#;
    let endpoint = TokenEndpoint::new([json(401, body)]);
    let error = failure(endpoint.at(&format!("{URL}?code=fk-S3CR3T"))).await;
    assert_eq!(error.description(), Some(LEFT_OUT));

    let failed = || Answer::Error("upstream /token?code=fk-S3CR3T failed".into());
    let endpoint = TokenEndpoint::new([failed(), failed()]);
    let credentials = endpoint.at(&format!("{URL}?code=fk%2DS3CR3T")).placement(Placement::Query);
    let shown = shown(&failure(credentials).await);
    assert!(shown.contains(LEFT_OUT) && !shown.contains("S3CR3T"), "{shown}");
}
