//! Copies of credentials that differ in a few things, and what they share.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Placement, Secret, TokenCache,
    TokenError,
};

use crate::client_credentials::token_endpoint::*;

type Builder = ClientCredentialsBuilder<TokenEndpoint>;

/// Credentials with something of everything that a copy may inherit.
fn original(endpoint: &TokenEndpoint) -> ClientCredentials<TokenEndpoint> {
    let auth = ClientAuth::post(SECRET).client_id_name("id");
    ClientCredentials::builder(endpoint.clone(), URL, "client", auth)
        .scope("read write")
        .scope_separator(',')
        .param("tenant", "t1")
        .param("audience", "https://a.example")
        .param("audience", "https://b.example")
        .secret_param("key", "k1")
        .header(HeaderName::from_static("x-region"), HeaderValue::from_static("eu"))
        .token_prefix("Token ")
        .build()
        .unwrap()
}

/// What a copy sends.
async fn sent(copy: impl FnOnce(Builder) -> Builder) -> Request<String> {
    let endpoint = TokenEndpoint::new([token()]);
    let credentials = copy(original(&endpoint).derive()).build().unwrap();
    let token = TokenCache::new(credentials).token().await.unwrap();
    assert_eq!(token.header_value().to_str().unwrap(), "Token tok");
    let request = endpoint.last_request();
    assert_eq!(
        (request.uri().to_string(), &request.headers()["x-region"]),
        (URL.into(), &"eu".parse().unwrap())
    );
    request.map(|body| String::from_utf8(body.into()).unwrap())
}

const INHERITED: &str = "grant_type=client_credentials&id=client\
    &client_secret=s3cr3t%2B%2F%3D%2F7Fjfp0ZBr1KtDRbnfVdmIw&scope=read%2Cwrite&tenant=t1\
    &audience=https%3A%2F%2Fa.example&audience=https%3A%2F%2Fb.example&key=k1";

#[tokio::test(start_paused = true)]
async fn a_copy_sends_what_the_original_sends_but_for_what_is_set() {
    assert_eq!(sent(|copy| copy).await.body(), INHERITED);
    let with_scope = INHERITED.replace("read%2Cwrite", "admin%2Call");
    assert_eq!(sent(|copy| copy.scope("admin all")).await.body(), &with_scope);
    let without_scope = INHERITED.replace("&scope=read%2Cwrite", "");
    assert_eq!(sent(|copy| copy.scope("")).await.body(), &without_scope);
    let added = format!("{INHERITED}&resource=https%3A%2F%2Fc.example");
    assert_eq!(sent(|copy| copy.param("resource", "https://c.example")).await.body(), &added);
    let header = |copy: Builder| copy.header(CONTENT_TYPE, HeaderValue::from_static("text/x"));
    assert_eq!(sent(header).await.headers()["content-type"], "text/x");
}

#[tokio::test(start_paused = true)]
async fn a_parameter_of_a_copy_replaces_those_of_its_name() {
    let others =
        INHERITED.replace("&audience=https%3A%2F%2Fa.example&audience=https%3A%2F%2Fb.example", "");
    let one = |copy: Builder| copy.param("audience", "c");
    assert_eq!(sent(one).await.body(), &format!("{others}&audience=c"));
    let two = |copy: Builder| copy.param("audience", "c").param("audience", "d");
    assert_eq!(sent(two).await.body(), &format!("{others}&audience=c&audience=d"));
    assert_eq!(sent(|copy| copy.param("audience", "")).await.body(), &others);

    let tenant = INHERITED.replace("&tenant=t1", "") + "&tenant=t2";
    assert_eq!(sent(|copy| copy.param("tenant", "t2")).await.body(), &tenant);
    assert_eq!(sent(|copy| copy.secret_param("tenant", "t2")).await.body(), &tenant);
    let key = INHERITED.replace("k1", "k2");
    assert_eq!(sent(|copy| copy.secret_param("key", "k2")).await.body(), &key);
    assert_eq!(sent(|copy| copy.param("key", "k2")).await.body(), &key);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_copy_inherits_from_it() {
    let endpoint = TokenEndpoint::new([token()]);
    let copy = original(&endpoint).derive().param("tenant", "t2").build().unwrap();
    let copy = copy.derive().param("audience", "c").param("tenant", "t3").build().unwrap();
    TokenCache::new(copy).token().await.unwrap();
    let body = endpoint.last_request().into_body();
    assert!(body.ends_with(b"&scope=read%2Cwrite&key=k1&audience=c&tenant=t3"), "{body:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_for_another_client_sends_nothing_of_the_first() {
    let post = |copy: Builder| copy.client("tenant", ClientAuth::post("t-secret"));
    let (_, others) = INHERITED.split_once("&scope").unwrap();
    let expected = format!(
        "grant_type=client_credentials&client_id=tenant&client_secret=t-secret&scope{others}"
    );
    assert_eq!(sent(post).await.body(), &expected);

    let endpoint = TokenEndpoint::new([token()]);
    let credentials = endpoint.credentials().build().unwrap();
    let copy = credentials.derive().client("tenant", "t-secret").build().unwrap();
    TokenCache::new(copy).token().await.unwrap();
    let request = endpoint.last_request();
    let pair = BASE64_STANDARD.encode("tenant:t-secret");
    assert_eq!(request.headers()[AUTHORIZATION], format!("Basic {pair}"));
    assert_eq!(request.body(), "grant_type=client_credentials");
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_a_copy_is_read_for_each_request_of_the_copy() {
    let endpoint = TokenEndpoint::new([token()]);
    let credentials = endpoint.credentials().build().unwrap();
    let secret = Secret::from_fn(async || Ok::<_, TokenError>("from-a-vault"));
    let copy = credentials.derive().client("tenant", ClientAuth::post(secret)).build().unwrap();
    TokenCache::new(copy).token().await.unwrap();
    let body = endpoint.last_request().into_body();
    assert!(body.ends_with(b"&client_id=tenant&client_secret=from-a-vault"), "{body:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_replaces_the_grant_and_the_placement() {
    let endpoint = TokenEndpoint::new([token()]);
    let original = endpoint
        .credentials()
        .grant(Grant::legacy_password("me", "pass-1"))
        .placement(Placement::Json)
        .build()
        .unwrap();
    let copy = original
        .derive()
        .grant(Grant::legacy_password("you", "pass-2"))
        .placement(Placement::LegacyGet);
    TokenCache::new(copy.build().unwrap()).token().await.unwrap();
    let request = endpoint.last_request();
    assert_eq!((request.method().as_str(), request.body().len()), ("GET", 0));
    let query = "grant_type=password&username=you&password=pass-2";
    assert_eq!(request.uri().query(), Some(query));
}

#[tokio::test(start_paused = true)]
async fn a_copy_can_undo_each_flag_of_the_original() {
    let lenient = json(200, r#"{"access_token":"tok","expires_in":"60"}"#);
    let endpoint = TokenEndpoint::new([lenient]);
    let original = endpoint.credentials().strict(true).expires_in_millis(true).build().unwrap();
    let copy = original.derive().strict(false).expires_in_millis(false).build().unwrap();
    let token = TokenCache::new(copy).token().await.unwrap();
    assert_eq!(token.lifetime(), Some(std::time::Duration::from_secs(60)));

    let http = "http://issuer.example";
    let builder = ClientCredentials::discover(TokenEndpoint::default(), http, "client", SECRET);
    let original = builder.allow_http(true).pick_auth_method(true).build().unwrap();
    let error = original.derive().allow_http(false).build().unwrap_err();
    assert!(error.is_insecure(), "{error}");
    let named = ClientAuth::basic(SECRET).client_id_name("id");
    let copy = original.derive().client("client", named).pick_auth_method(false);
    assert!(copy.build().unwrap_err().to_string().contains("`client_id_name`"));
}

#[test]
fn what_cannot_work_is_refused_for_a_copy_too() {
    let endpoint = TokenEndpoint::default();
    let original = original(&endpoint);
    let at_query = endpoint.at(&format!("{URL}?tenant=SENSITIVE")).build().unwrap();
    let header =
        |name: HeaderName| original.derive().header(name, HeaderValue::from_static("SENSITIVE"));
    for (what, copy) in [
        ("an empty id", original.derive().client("", "SENSITIVE")),
        ("a quoted scope", original.derive().scope("\"SENSITIVE\"")),
        ("a parameter twice", original.derive().param("tenant", "SENSITIVE").param("tenant", "a")),
        ("a new parameter twice", original.derive().param("x", "SENSITIVE").secret_param("x", "a")),
        ("the client's secret", original.derive().param("client_secret", "SENSITIVE")),
        ("the client's id", original.derive().param("client_id", "SENSITIVE")),
        ("an assertion", original.derive().secret_param("client_assertion", "SENSITIVE")),
        ("the grant", original.derive().param("grant_type", "SENSITIVE")),
        ("the scope", original.derive().param("scope", "SENSITIVE")),
        ("a parameter with the id's name", original.derive().param("id", "SENSITIVE")),
        ("no name", original.derive().param("", "SENSITIVE")),
        ("a resource with a fragment", original.derive().param("resource", "https://a#SENSITIVE")),
        ("an authorization header", header(AUTHORIZATION)),
        ("a secret in the query", original.derive().placement(Placement::Query)),
        ("a colon", original.derive().client("a:b", ClientAuth::basic_unencoded("SENSITIVE"))),
        ("a header of two lines", original.derive().client("a", ClientAuth::header("SENSITIVE\n"))),
        ("a name that is not sent", {
            let auth = ClientAuth::basic("SENSITIVE").client_id_name("id");
            original.derive().client("a", auth)
        }),
        ("a parameter of the URL", at_query.derive().param("tenant", "SENSITIVE")),
        ("metadata without an issuer", original.derive().pick_auth_method(true)),
        ("no pointer", original.derive().token_at("SENSITIVE")),
    ] {
        let error = copy.build().expect_err(what);
        assert!(error.is_config() && !error.is_transient(), "{what}: {error:?}");
        assert!(!shown(&error).contains("SENSITIVE"), "{what}: {error:?}");
    }
    original.derive().build().unwrap();
}

#[test]
fn a_copy_may_use_plain_http_if_the_original_may() {
    let original = TokenEndpoint::default().at("http://issuer.example/token").allow_http(true);
    let original = original.build().unwrap();
    original.derive().client("tenant", SECRET).build().unwrap();
}

#[tokio::test(start_paused = true)]
async fn neither_an_error_nor_debug_shows_the_secret_of_a_copy() {
    for auth in [
        ClientAuth::basic("t-SENSITIVE"),
        ClientAuth::post("t-SENSITIVE"),
        ClientAuth::assertion(Secret::from("t-SENSITIVE")),
    ] {
        let refused =
            r#"{"error":"invalid_client","error_description":"no t-SENSITIVE, k-SENSITIVE"}"#;
        let endpoint = TokenEndpoint::new([json(401, refused)]);
        let credentials = endpoint.credentials().build().unwrap();
        let copy = credentials.derive().client("tenant", auth).secret_param("key", "k-SENSITIVE");
        assert!(!format!("{copy:?} {copy:#?}").contains("SENSITIVE"));
        let copy = copy.build().unwrap();
        assert!(!format!("{copy:?} {copy:#?}").contains("SENSITIVE"));
        let error = TokenCache::new(copy).token().await.unwrap_err();
        assert_eq!(error.description(), Some("[left out: it repeats a secret]"));
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}
