//! Copies of credentials that share the metadata of an issuer.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use tokio::{task::JoinSet, time::Instant};
use tower::{ServiceExt, util::BoxCloneService};
use tower_bearer::{BoxError, ClientAuth, ClientCredentials, Secret, TokenCache, TokenError};

use crate::client_credentials::token_endpoint::*;

const ISSUER: &str = "https://as.example";
const METADATA: &str = "GET https://as.example/.well-known/oauth-authorization-server";
const TOKEN: &str = "POST https://as.example/token";
const MOVED: &str = "POST https://as.example/token/2";

type Credentials = ClientCredentials<Client>;
type Client = BoxCloneService<Request<Full<Bytes>>, Response<Body>, BoxError>;

fn metadata(members: &str) -> Answer {
    let endpoint = "https://as.example/token";
    json(200, &format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{endpoint}"{members}}}"#))
}

fn moved() -> Answer {
    let endpoint = "https://as.example/token/2";
    json(200, &format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{endpoint}"}}"#))
}

fn for_keys_only() -> Answer {
    metadata(r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#)
}

fn refused() -> Answer {
    json(401, r#"{"error":"invalid_client"}"#)
}

fn unavailable() -> Answer {
    answer(503, &[], "")
}

/// Credentials whose requests take 100 ms each.
fn credentials(endpoint: &TokenEndpoint) -> Credentials {
    let slow = endpoint.clone().map_future(|answer| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer.await
    });
    let client = BoxCloneService::new(slow);
    ClientCredentials::discover(client, ISSUER, "client", SECRET).build().unwrap()
}

fn tenant(credentials: &Credentials, id: &str) -> TokenCache {
    TokenCache::new(credentials.derive().client(id, "t-secret").build().unwrap())
}

/// The requests since the last call, as method and URL.
fn requests(endpoint: &TokenEndpoint, seen: &mut usize) -> Vec<String> {
    let all = endpoint.all_requests();
    let new = all[*seen..].iter().map(|request| format!("{} {}", request.method(), request.uri()));
    let new = new.collect();
    *seen = all.len();
    new
}

/// Until every failure is forgotten.
async fn later() {
    tokio::time::advance(Duration::from_secs(60)).await;
}

/// Until every token has expired.
async fn much_later() {
    tokio::time::advance(Duration::from_secs(2 * 3600)).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_is_read_once_for_all_copies() {
    let endpoint = TokenEndpoint::new([metadata(""), token(), token(), token(), token()]);
    let credentials = credentials(&endpoint);
    let before = tenant(&credentials, "before");
    let scope = TokenCache::new(credentials.derive().scope("a").build().unwrap());
    before.token().await.unwrap();
    scope.token().await.unwrap();
    let after = credentials.derive().param("audience", "b").build().unwrap();
    let of_a_copy = tenant(&after, "of-a-copy");
    TokenCache::new(after).token().await.unwrap();
    drop(credentials);
    of_a_copy.token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut 0), [METADATA, TOKEN, TOKEN, TOKEN, TOKEN]);
    let pair = BASE64_STANDARD.encode("of-a-copy:t-secret");
    assert_eq!(endpoint.last_request().headers()[AUTHORIZATION], format!("Basic {pair}"));
}

#[tokio::test(start_paused = true)]
async fn copies_that_start_at_once_read_the_metadata_once() {
    let endpoint = TokenEndpoint::new([metadata("")]);
    endpoint.script((0..100).map(|_| token()));
    let credentials = credentials(&endpoint);
    let mut fetches = JoinSet::new();
    for n in 0..100 {
        let tokens = tenant(&credentials, &format!("tenant-{n}"));
        fetches.spawn(async move { tokens.token().await });
    }
    for outcome in fetches.join_all().await {
        outcome.unwrap();
    }
    let requests = requests(&endpoint, &mut 0);
    assert_eq!(requests.iter().filter(|request| *request == METADATA).count(), 1);
    assert_eq!(requests.iter().filter(|request| *request == TOKEN).count(), 100);
}

#[tokio::test(start_paused = true)]
async fn copies_that_wait_for_the_metadata_get_its_failure_too() {
    let not_metadata = || answer(200, &[], "<html>");
    let endpoint = TokenEndpoint::new([not_metadata(), not_metadata()]);
    let credentials = credentials(&endpoint);
    let (one, other) = (tenant(&credentials, "one"), tenant(&credentials, "other"));
    let (one, other) = tokio::join!(one.token(), other.token());
    assert!(one.unwrap_err().is_malformed() && other.unwrap_err().is_malformed());
    assert_eq!(endpoint.requests(), 2);
    later().await;
    endpoint.script([metadata(""), token()]);
    tenant(&credentials, "third").token().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_copy_does_not_make_others_read_the_metadata_again() {
    let endpoint = TokenEndpoint::new([metadata(""), refused(), token()]);
    let (credentials, mut seen) = (credentials(&endpoint), 0);
    let (bad, good) = (tenant(&credentials, "bad"), tenant(&credentials, "good"));
    bad.token().await.unwrap_err();
    good.token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [METADATA, TOKEN, TOKEN]);

    much_later().await;
    endpoint.script([token(), token()]);
    good.token().await.unwrap();
    tenant(&credentials, "new").token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [TOKEN, TOKEN]);
}

#[tokio::test(start_paused = true)]
async fn a_good_copy_does_not_keep_a_denied_one_from_newer_metadata() {
    let endpoint = TokenEndpoint::new([metadata(""), refused(), token(), moved(), token()]);
    let (credentials, mut seen) = (credentials(&endpoint), 0);
    let (bad, good) = (tenant(&credentials, "bad"), tenant(&credentials, "good"));
    bad.token().await.unwrap_err();
    good.token().await.unwrap();
    requests(&endpoint, &mut seen);
    later().await;
    bad.token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [METADATA, MOVED]);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_one_copy_reads_again_is_used_by_all() {
    let endpoint =
        TokenEndpoint::new([metadata(""), token(), refused(), refused(), moved(), token()]);
    let (credentials, mut seen) = (credentials(&endpoint), 0);
    let names = ["good", "first", "second"];
    let [good, first, second] = names.map(|name| tenant(&credentials, name));
    good.token().await.unwrap();
    first.token().await.unwrap_err();
    second.token().await.unwrap_err();
    later().await;
    first.token().await.unwrap();
    requests(&endpoint, &mut seen);

    endpoint.script([token(), token(), token()]);
    second.token().await.unwrap();
    much_later().await;
    good.token().await.unwrap();
    tenant(&credentials, "new").token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [MOVED, MOVED, MOVED]);
}

#[tokio::test(start_paused = true)]
async fn unsuitable_metadata_leaves_a_copy_where_its_requests_work() {
    let endpoint = TokenEndpoint::new([metadata(""), token(), refused(), for_keys_only()]);
    let (credentials, mut seen) = (credentials(&endpoint), 0);
    let (good, bad) = (tenant(&credentials, "good"), tenant(&credentials, "bad"));
    good.token().await.unwrap();
    bad.token().await.unwrap_err();
    later().await;
    assert!(bad.token().await.unwrap_err().is_config());
    requests(&endpoint, &mut seen);

    much_later().await;
    endpoint.script([token()]);
    good.token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [TOKEN]);

    endpoint.script([for_keys_only()]);
    assert!(tenant(&credentials, "new").token().await.unwrap_err().is_config());
    assert_eq!(requests(&endpoint, &mut seen), [METADATA]);

    endpoint.script([token()]);
    let auth = ClientAuth::assertion(Secret::from("a.b.c"));
    let signed = credentials.derive().client("signed", auth).build().unwrap();
    TokenCache::new(signed).token().await.unwrap();
    assert_eq!(requests(&endpoint, &mut seen), [TOKEN]);
}

#[tokio::test(start_paused = true)]
async fn the_method_is_picked_for_each_copy_by_itself() {
    let members = r#","token_endpoint_auth_methods_supported":["client_secret_post","none"]"#;
    let endpoint = TokenEndpoint::new([metadata(members), token(), token(), token()]);
    let credentials = credentials(&endpoint).derive().pick_auth_method(true).build().unwrap();
    for (id, auth, expected) in [
        ("one", ClientAuth::basic("1"), "&client_id=one&client_secret=1"),
        ("two", ClientAuth::basic("2"), "&client_id=two&client_secret=2"),
        ("public", ClientAuth::none(), "&client_id=public"),
    ] {
        let copy = credentials.derive().client(id, auth).build().unwrap();
        TokenCache::new(copy).token().await.unwrap();
        let request = endpoint.last_request();
        assert_eq!(request.body(), &format!("grant_type=client_credentials{expected}"));
        assert!(request.headers().get(AUTHORIZATION).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_on_with_its_metadata_if_reading_it_again_fails() {
    let endpoint = TokenEndpoint::new([metadata(""), refused()]);
    let (credentials, mut seen) = (credentials(&endpoint), 0);
    let tokens = tenant(&credentials, "tenant");
    tokens.token().await.unwrap_err();
    later().await;
    requests(&endpoint, &mut seen);
    endpoint.script([unavailable(), unavailable(), token(), token()]);
    tokens.token().await.unwrap();
    // One that has none yet uses what was read before the failure.
    tenant(&credentials, "new").token().await.unwrap();
    let openid = "GET https://as.example/.well-known/openid-configuration";
    assert_eq!(requests(&endpoint, &mut seen), [METADATA, openid, TOKEN, TOKEN]);
}

#[tokio::test(start_paused = true)]
async fn missing_metadata_of_one_copy_does_not_hold_up_another() {
    let endpoint = TokenEndpoint::new([Answer::Silence, metadata(""), token()]);
    let credentials = credentials(&endpoint);
    let (silent, other) = (tenant(&credentials, "silent"), tenant(&credentials, "other"));
    let silent = tokio::spawn(async move { silent.token().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    other.token().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(silent.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_copy_dropped_while_it_reads_leaves_that_to_another() {
    let endpoint = TokenEndpoint::new([Answer::Silence, metadata(""), token()]);
    let credentials = credentials(&endpoint);
    let (dropped, other) = (tenant(&credentials, "dropped"), tenant(&credentials, "other"));
    let reading = tokio::spawn(async move { dropped.token().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let waiting = tokio::spawn(async move { other.token().await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(endpoint.requests(), 1);
    reading.abort();
    waiting.await.unwrap().unwrap();
    // Up to the abort, then the metadata and the token.
    assert_eq!(start.elapsed(), Duration::from_millis(150 + 100 + 100));
}

#[tokio::test(start_paused = true)]
async fn copies_without_a_copy_in_common_share_nothing() {
    let endpoint = TokenEndpoint::new([metadata(""), token(), metadata(""), token()]);
    for _ in 0..2 {
        TokenCache::new(credentials(&endpoint)).token().await.unwrap();
    }
    assert_eq!(requests(&endpoint, &mut 0), [METADATA, TOKEN, METADATA, TOKEN]);
}

#[test]
fn an_issuer_over_plain_http_stays_refused_for_a_copy() {
    let endpoint = TokenEndpoint::default();
    let discover = || ClientCredentials::discover(endpoint.clone(), "http://as.example", "c", "s");
    let error: TokenError = discover().build().unwrap_err();
    assert!(error.is_insecure());
    discover().allow_http(true).build().unwrap().derive().build().unwrap();
}
