//! The revocation of a token (RFC 7009).

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use tower_bearer::{ClientAuth, ClientCredentials, TokenCache};

use crate::client_credentials::token_endpoint::*;

const REVOCATION: &str = "https://issuer.example/revoke";
const ISSUER: &str = "https://as.example/realms/main";

fn metadata(members: &str) -> Answer {
    let document =
        format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"https://as.example/token"{members}}}"#);
    json(200, &document)
}

async fn revoked_with(answer: Answer) -> Result<(), tower_bearer::TokenError> {
    let endpoint = TokenEndpoint::new([token(), answer]);
    let credentials = endpoint.credentials().revocation_endpoint(REVOCATION).build()?;
    let tokens = TokenCache::new(credentials);
    tokens.token().await?;
    tokens.revoke().await
}

#[tokio::test(start_paused = true)]
async fn the_client_authenticates_as_it_does_for_a_token() {
    let endpoint = TokenEndpoint::new([token(), answer(200, &[], "")]);
    let credentials = endpoint.credentials().revocation_endpoint(REVOCATION).build().unwrap();
    let tokens = TokenCache::new(credentials);
    let token = tokens.token().await.unwrap();
    tokens.revoke().await.unwrap();
    let [for_token, request] = &endpoint.all_requests()[..] else { panic!("two requests") };
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", REVOCATION.into()));
    assert_eq!(request.headers()[AUTHORIZATION], for_token.headers()[AUTHORIZATION]);
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    let form: Vec<_> = form_urlencoded::parse(request.body()).into_owned().collect();
    let expected = [("token", token.expose()), ("token_type_hint", "access_token")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form, expected);

    let endpoint = TokenEndpoint::new([self::token(), answer(200, &[], "")]);
    let post = ClientAuth::post(SECRET);
    let credentials = ClientCredentials::builder(endpoint.clone(), URL, "client", post)
        .scope("orders:read")
        .param("audience", "https://api.example")
        .revocation_endpoint(REVOCATION)
        .build()
        .unwrap();
    let tokens = TokenCache::new(credentials);
    tokens.token().await.unwrap();
    tokens.revoke().await.unwrap();
    let request = endpoint.last_request();
    let names: Vec<_> = form_urlencoded::parse(request.body()).map(|(name, _)| name).collect();
    assert_eq!(names, ["client_id", "client_secret", "token", "token_type_hint"]);
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_is_found_in_the_metadata() {
    let aliases =
        r#","mtls_endpoint_aliases":{"revocation_endpoint":"https://mtls.as.example/revoke"}"#;
    let plain = r#","revocation_endpoint":"https://as.example/revoke""#;
    for (members, mtls, expected) in [
        (plain.to_owned(), false, "https://as.example/revoke"),
        ([plain, aliases].concat(), false, "https://as.example/revoke"),
        ([plain, aliases].concat(), true, "https://mtls.as.example/revoke"),
        (plain.to_owned(), true, "https://as.example/revoke"),
    ] {
        let endpoint = TokenEndpoint::new([metadata(&members), token(), answer(200, &[], "")]);
        let builder = ClientCredentials::discover(endpoint.clone(), ISSUER, "client", SECRET);
        let builder = if mtls { builder.mtls_endpoint_alias(true) } else { builder };
        let tokens = TokenCache::new(builder.build().unwrap());
        tokens.token().await.unwrap();
        tokens.revoke().await.unwrap();
        assert_eq!(endpoint.last_request().uri(), expected);
    }
    // The endpoint that was named is the one.
    let endpoint = TokenEndpoint::new([metadata(plain), token(), answer(200, &[], "")]);
    let builder = ClientCredentials::discover(endpoint.clone(), ISSUER, "client", SECRET);
    let credentials = builder.revocation_endpoint(REVOCATION).build().unwrap();
    let tokens = TokenCache::new(credentials.derive().scope("orders:read").build().unwrap());
    tokens.token().await.unwrap();
    tokens.revoke().await.unwrap();
    assert_eq!(endpoint.last_request().uri(), REVOCATION);
}

#[tokio::test(start_paused = true)]
async fn without_an_endpoint_nothing_is_sent() {
    for members in ["", r#","revocation_endpoint":"http://as.example/revoke""#] {
        let endpoint = TokenEndpoint::new([metadata(members), token()]);
        let builder = ClientCredentials::discover(endpoint.clone(), ISSUER, "client", SECRET);
        let tokens = TokenCache::new(builder.build().unwrap());
        tokens.token().await.unwrap();
        let error = tokens.revoke().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("revocation_endpoint"), "{error}");
        assert_eq!(endpoint.requests(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_has_against_it_is_a_typed_error() {
    revoked_with(answer(200, &[], "whatever")).await.unwrap();
    revoked_with(answer(204, &[], "")).await.unwrap();
    let error = revoked_with(json(401, r#"{"error":"invalid_client"}"#)).await.unwrap_err();
    assert!(error.is_refused());
    assert_eq!(error.code(), Some("invalid_client"));
    let error = revoked_with(json(400, r#"{"error":"unsupported_token_type"}"#)).await.unwrap_err();
    assert_eq!(error.code(), Some("unsupported_token_type"));
    assert!(error.to_string().starts_with("the token was not revoked: "), "{error}");
    let error = revoked_with(answer(503, &[("retry-after", "7")], "")).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
    let error = revoked_with(answer(307, &[("location", "https://elsewhere.example/")], "")).await;
    assert!(error.unwrap_err().is_refused(), "no redirect is followed");
    let error = revoked_with(Answer::Error("no route to host".into())).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(REVOCATION), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_has_neither_token_nor_secret_in_it() {
    let issued = r#"{"access_token":"SlAV32hkKG","token_type":"Bearer","expires_in":3600}"#;
    let endpoint = TokenEndpoint::new([json(200, issued)]);
    let credentials = endpoint.credentials().revocation_endpoint(REVOCATION).build().unwrap();
    let tokens = TokenCache::new(credentials);
    let token = tokens.token().await.unwrap();
    let told = format!(
        r#"{{"error":"invalid_request","error_description":"{} by {SECRET}"}}"#,
        token.expose()
    );
    endpoint.script([json(400, &told)]);
    let error = tokens.revoke().await.unwrap_err();
    for shown in [format!("{error}"), format!("{error:?}")] {
        assert!(!shown.contains(token.expose()) && !shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn an_endpoint_that_cannot_be_is_refused() {
    let endpoint = TokenEndpoint::default();
    for url in ["", "/revoke", "https://issuer.example/revoke#now", "ftp://issuer.example/"] {
        let error = endpoint.credentials().revocation_endpoint(url).build().unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().starts_with("`revocation_endpoint`: "), "{error}");
    }
    let plain = endpoint.credentials().revocation_endpoint("http://issuer.example/revoke");
    assert!(plain.build().unwrap_err().is_insecure());
}
