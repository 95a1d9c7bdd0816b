//! Token endpoints that the metadata of an issuer names.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, ClientCredentialsConfig, Jwt,
    JwtAlgorithm, TokenCache, TokenError,
};

use crate::client_credentials::token_endpoint::*;

const ISSUER: &str = "https://as.example/realms/main";
const OAUTH: &str = "https://as.example/.well-known/oauth-authorization-server/realms/main";
const OPENID: &str = "https://as.example/realms/main/.well-known/openid-configuration";
const TOKEN: &str = "https://as.example/token";

fn metadata(members: &str) -> Answer {
    let document =
        format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{TOKEN}","jwks_uri":"x"{members}}}"#);
    json(200, &document)
}

fn not_found() -> Answer {
    answer(404, &[], "<html>")
}

fn discover(
    endpoint: &TokenEndpoint,
    auth: impl Into<ClientAuth>,
) -> ClientCredentialsBuilder<TokenEndpoint> {
    ClientCredentials::discover(endpoint.clone(), ISSUER, "client", auth)
}

async fn fetch(
    answers: impl IntoIterator<Item = Answer>,
    set: impl FnOnce(ClientCredentialsBuilder<TokenEndpoint>) -> ClientCredentialsBuilder<TokenEndpoint>,
) -> (Result<(), TokenError>, Vec<String>) {
    let endpoint = TokenEndpoint::new(answers);
    let credentials = set(discover(&endpoint, SECRET)).build().unwrap();
    let outcome = TokenCache::new(credentials).token().await.map(drop);
    (outcome, urls(&endpoint))
}

fn urls(endpoint: &TokenEndpoint) -> Vec<String> {
    let requests = endpoint.all_requests();
    requests.iter().map(|request| format!("{} {}", request.method(), request.uri())).collect()
}

fn as_it_is<T>(builder: T) -> T {
    builder
}

#[tokio::test(start_paused = true)]
async fn the_token_endpoint_is_read_once_and_then_remembered() {
    let endpoint = TokenEndpoint::new([metadata(""), token(), token()]);
    let credentials = discover(&endpoint, SECRET).build().unwrap();
    let tokens = TokenCache::new(credentials);
    let first = tokens.token().await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(2 * 3600)).await;
    tokens.token().await.unwrap();
    drop(first);
    let post = format!("POST {TOKEN}");
    assert_eq!(urls(&endpoint), [format!("GET {OAUTH}"), post.clone(), post]);
    let get = &endpoint.all_requests()[0];
    assert_eq!(get.headers()["accept"], "application/json");
    assert!(get.headers().get("authorization").is_none() && get.body().is_empty());
}

#[tokio::test(start_paused = true)]
async fn openid_connect_has_it_elsewhere() {
    for nothing in [
        not_found(),
        answer(200, &[("content-type", "text/html")], "<html>SENSITIVE"),
        json(200, "[]"),
        json(200, "{}"),
        answer(302, &[("location", "https://evil.example/")], ""),
    ] {
        let (outcome, urls) = fetch([nothing, metadata(""), token()], as_it_is).await;
        outcome.unwrap();
        assert_eq!(
            urls,
            [format!("GET {OAUTH}"), format!("GET {OPENID}"), format!("POST {TOKEN}")]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_of_another_issuer_is_not_used() {
    for issuer in [
        "https://as.example/realms/main/",
        "https://as.example/realms/MAIN",
        "https://AS.example/realms/main",
        "https://as.example:443/realms/main",
        "https://evil.example",
        "",
    ] {
        let document = format!(r#"{{"issuer":"{issuer}","token_endpoint":"{TOKEN}"}}"#);
        let (outcome, urls) = fetch([json(200, &document)], as_it_is).await;
        let error = outcome.unwrap_err();
        assert!(error.is_malformed() && !error.is_transient(), "{issuer}: {error:?}");
        assert!(error.to_string().contains(&format!("`{issuer}`")), "{error}");
        assert_eq!(urls.len(), 1, "{issuer}: {urls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_goes_to_https_whatever_the_metadata_says() {
    for url in ["http://as.example/token", "http://localhost/token", "http://127.0.0.1/token"] {
        let document = format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{url}"}}"#);
        let (outcome, urls) = fetch([json(200, &document)], as_it_is).await;
        let error = outcome.unwrap_err();
        assert!(error.is_insecure(), "{url}: {error:?}");
        assert_eq!(urls.len(), 1);
        let allowed = fetch([json(200, &document), token()], |builder| builder.allow_http(true));
        assert_eq!(allowed.await.1.last(), Some(&format!("POST {url}")));
    }
    for url in ["", "/token", "ftp://as.example/", "https://as.example/#a", "https://u@as.example"]
    {
        let document = format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{url}"}}"#);
        let error = fetch([json(200, &document)], as_it_is).await.0.unwrap_err();
        assert!(error.is_malformed(), "{url}: {error:?}");
    }
    let issuer = "http://as.example";
    let endpoint = TokenEndpoint::default();
    let discover = || ClientCredentials::discover(endpoint.clone(), issuer, "client", SECRET);
    assert!(discover().build().unwrap_err().is_insecure());
    assert!(discover().allow_http(true).build().is_ok());
    let loopback = "http://127.0.0.1:8080";
    assert!(ClientCredentials::discover(endpoint.clone(), loopback, "c", SECRET).build().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_metadata_anywhere_is_an_error_with_a_name() {
    let html = || answer(200, &[("content-type", "text/html")], "<html>");
    let (outcome, urls) = fetch([html(), html()], as_it_is).await;
    assert!(outcome.unwrap_err().is_malformed());
    assert_eq!(urls.len(), 2);

    let error = fetch([not_found(), not_found()], as_it_is).await.0.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains(OAUTH), "{error}");
    assert_eq!(error.status().unwrap(), 404);

    let moved = || answer(301, &[("location", "https://evil.example/")], "");
    let error = fetch([moved(), moved()], as_it_is).await.0.unwrap_err();
    assert_eq!(error.status().unwrap(), 301);

    let huge = || json(200, &format!(r#"{{"issuer":"{ISSUER}","x":"{}"}}"#, "x".repeat(2 << 20)));
    let error = fetch([huge(), not_found()], as_it_is).await.0.unwrap_err();
    assert!(error.is_too_large(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_is_asked_once_more() {
    let down = || answer(503, &[], "");
    let (outcome, urls) = fetch([down(), not_found(), metadata(""), token()], as_it_is).await;
    outcome.unwrap();
    assert_eq!(urls.len(), 4);
    let broken = || Answer::Error("connection SENSITIVE".into());
    let (outcome, urls) = fetch([broken(), broken()], as_it_is).await;
    let error = outcome.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(urls, [format!("GET {OAUTH}"), format!("GET {OAUTH}")]);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_this_crate_while_metadata_is_read_is_the_source() {
    let inner = TokenError::refused(format!("at {OAUTH}?key=SENSITIVE"));
    let (outcome, urls) = fetch([Answer::Error(inner.into())], as_it_is).await;
    let error = outcome.unwrap_err();
    assert!(error.is_refused() && urls.len() == 1, "{error:?}");
    assert!(error.to_string().contains(OAUTH), "{error}");
    assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
}

#[tokio::test(start_paused = true)]
async fn metadata_is_read_again_after_a_denial_and_kept_if_that_fails() {
    let refused = || json(401, r#"{"error":"invalid_client"}"#);
    let moved = format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{TOKEN}/2"}}"#);
    let endpoint = TokenEndpoint::new([metadata(""), refused()]);
    let tokens = TokenCache::new(discover(&endpoint, SECRET).build().unwrap());
    tokens.token().await.unwrap_err();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    endpoint.script([json(200, &moved), refused()]);
    tokens.token().await.unwrap_err();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    endpoint.script([answer(503, &[], ""), answer(503, &[], ""), token()]);
    tokens.token().await.unwrap();
    assert_eq!(
        urls(&endpoint),
        [
            format!("GET {OAUTH}"),
            format!("POST {TOKEN}"),
            format!("GET {OAUTH}"),
            format!("POST {TOKEN}/2"),
            format!("GET {OAUTH}"),
            format!("GET {OPENID}"),
            format!("POST {TOKEN}/2"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn metadata_is_read_again_after_a_timeout_not_a_busy_response() {
    let endpoint = TokenEndpoint::new([metadata(""), Answer::Silence]);
    let tokens = TokenCache::new(discover(&endpoint, SECRET).build().unwrap());
    assert!(tokens.token().await.unwrap_err().is_timeout());
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    endpoint.script([metadata(""), answer(503, &[], ""), token()]);
    tokens.token().await.unwrap();
    let (get, post) = (format!("GET {OAUTH}"), format!("POST {TOKEN}"));
    assert_eq!(urls(&endpoint), [get.clone(), post.clone(), get, post.clone(), post]);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_listed_is_not_used() {
    let post = || ClientAuth::post(SECRET);
    for (auth, members, hint) in [
        (post(), "", "ClientAuth::basic"),
        (post(), r#","token_endpoint_auth_methods_supported":["client_secret_basic"]"#, "basic"),
        (
            ClientAuth::basic(SECRET),
            r#","token_endpoint_auth_methods_supported":["private_key_jwt","client_secret_post"]"#,
            "ClientAuth::post",
        ),
        (ClientAuth::none(), "", "client_secret_basic"),
        (
            ClientAuth::assertion(Jwt::new(JwtAlgorithm::HS256, SECRET)),
            r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#,
            "private_key_jwt",
        ),
    ] {
        let endpoint = TokenEndpoint::new([metadata(members)]);
        let tokens = TokenCache::new(discover(&endpoint, auth).build().unwrap());
        let error = tokens.token().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(hint), "{members}: {error}");
        assert!(!shown(&error).contains(SECRET), "{error}");
        assert_eq!(endpoint.requests(), 1, "{members}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_is_picked_if_that_is_asked_for() {
    let members = r#","token_endpoint_auth_methods_supported":["none","client_secret_post"]"#;
    let endpoint = TokenEndpoint::new([metadata(members), token()]);
    let credentials = discover(&endpoint, SECRET).pick_auth_method(true).build().unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    let request = endpoint.last_request();
    assert!(request.headers().get("authorization").is_none());
    let body = String::from_utf8_lossy(request.body()).into_owned();
    assert!(body.contains("&client_id=client&client_secret="), "{body}");

    let members =
        r#","token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic"]"#;
    let (outcome, _) =
        fetch([metadata(members), token()], |builder| builder.pick_auth_method(true)).await;
    outcome.unwrap();
    let members = r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#;
    let (outcome, _) = fetch([metadata(members)], |builder| builder.pick_auth_method(true)).await;
    assert!(outcome.unwrap_err().is_config());
}

#[tokio::test(start_paused = true)]
async fn the_alias_for_certificates_is_used_if_that_is_asked_for() {
    let alias = "https://mtls.as.example/token";
    let members = format!(r#","mtls_endpoint_aliases":{{"token_endpoint":"{alias}"}}"#);
    let (_, urls) = fetch([metadata(&members), token()], as_it_is).await;
    assert_eq!(urls[1], format!("POST {TOKEN}"));
    let ask = |builder: ClientCredentialsBuilder<_>| builder.mtls_endpoint_alias(true);
    let (_, urls) = fetch([metadata(&members), token()], ask).await;
    assert_eq!(urls[1], format!("POST {alias}"));
    let (_, urls) = fetch([metadata(""), token()], ask).await;
    assert_eq!(urls[1], format!("POST {TOKEN}"));

    let credentials = || TokenEndpoint::default().credentials();
    for builder in [credentials().mtls_endpoint_alias(true), credentials().pick_auth_method(true)] {
        let error = builder.build().unwrap_err();
        assert!(error.is_config() && error.to_string().contains("discover"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_assertion_is_for_the_issuer() {
    let methods = r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#;
    let endpoint = TokenEndpoint::new([metadata(methods), token()]);
    let config = format!(
        r#"
        issuer = "{ISSUER}"
        client_id = "client"
        token_endpoint_auth_method = "private_key_jwt"
        private_key_file = "tests/keys/p256.pem"
        alg = "ES256"
        "#
    );
    let config: ClientCredentialsConfig = toml::from_str(&config).unwrap();
    let credentials = config.builder(endpoint.clone()).unwrap().build().unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    let body = endpoint.last_request().into_body();
    let (_, jwt) =
        form_urlencoded(&body).into_iter().find(|(n, _)| n == "client_assertion").unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], ISSUER);
}

fn form_urlencoded(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}
