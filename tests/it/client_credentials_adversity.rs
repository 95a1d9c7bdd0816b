//! Issuers, clients and settings that are out to make a token request show or do too much.

use std::time::Duration;

use tokio::time::Instant;
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, TokenCache, TokenError,
};

use crate::token_endpoint::*;

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
    assert_eq!((error.code(), error.description()), (Some("denied"), None));
    let body = r#"{"access_token":"T0K3N","error":"no T0K3N for you","error_description":"b"}"#;
    let error = failure(TokenEndpoint::new([json(200, body)]).credentials()).await;
    assert_eq!((error.code(), error.description()), (Some("[redacted]"), Some("b")));
}
