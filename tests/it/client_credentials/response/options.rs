//! Answers of a form that the user describes, and answers that have to be exact.

use std::time::Duration;

use tower_bearer::{ClientCredentialsBuilder, Token, TokenCache, TokenError};

use crate::client_credentials::token_endpoint::*;

type Builder = ClientCredentialsBuilder<TokenEndpoint>;

async fn read(body: &str, set: impl Fn(Builder) -> Builder) -> Result<Token, TokenError> {
    let endpoint = TokenEndpoint::new([json(200, body)]);
    TokenCache::new(set(endpoint.credentials()).build().unwrap()).token().await
}

fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

#[tokio::test(start_paused = true)]
async fn fields_are_read_from_where_they_are_said_to_be() {
    let body = r#"{"access_token":"no","expires_in":1,"error":null,
        "data":{"list":[{"a/b~c":"tok"}],"expiresIn":"60","type":"bearer"}}"#;
    let token = read(body, |credentials| {
        credentials
            .token_at("/data/list/0/a~1b~0c")
            .expires_in_at("/data/expiresIn")
            .token_type_at("/data/type")
    });
    let token = token.await.unwrap();
    assert_eq!((token.expose(), token.lifetime()), ("tok", seconds(60)));
}

#[tokio::test(start_paused = true)]
async fn the_usual_fields_stay_where_no_other_is_named() {
    let body = r#"{"token":"tok","expires_in":60,"token_type":"mac"}"#;
    let error = read(body, |credentials| credentials.token_at("/token")).await.unwrap_err();
    assert!(error.is_unsupported_token_type(), "{error:?}");
    let set = |credentials: Builder| credentials.token_at("/token").token_type_at("/none");
    assert_eq!(read(body, set).await.unwrap().lifetime(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn null_is_nothing_wherever_it_is() {
    let body = r#"{"access_token":"tok","type":null,"life":null}"#;
    let set = |credentials: Builder| credentials.token_type_at("/type").expires_in_at("/life");
    assert_eq!(read(body, set).await.unwrap().lifetime(), None);
    let error = read(body, |credentials| credentials.token_at("/life")).await.unwrap_err();
    assert!(error.to_string().contains("no `access_token`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_bare_token_is_a_json_string_or_the_text_itself() {
    for body in ["\"t-o.k\"", "t-o.k", " t-o.k\r\n", "\u{feff}t-o.k"] {
        let token = read(body, |credentials| credentials.token_at("")).await.unwrap();
        assert_eq!((token.expose(), token.lifetime()), ("t-o.k", None), "{body}");
    }
    for body in ["", "\"\"", "<html>", "{}", "[]", "[\"tok\"]", "{\"access_token\":\"tok\"}"] {
        let error = read(body, |credentials| credentials.token_at("")).await.unwrap_err();
        assert!(error.is_malformed(), "{body}: {error:?}");
    }
    for body in ["null", "true", " false\n", "error", "error=a&error=b"] {
        let error = read(body, |credentials| credentials.token_at("")).await.expect_err(body);
        assert!(error.is_malformed(), "{body}: {error:?}");
    }
    for body in ["error=invalid_scope&error_description=x", "a=b&error=invalid_scope"] {
        let error = read(body, |credentials| credentials.token_at("")).await.expect_err(body);
        assert_eq!(error.code(), Some("invalid_scope"), "{body}");
    }
    for body in ["12345", "nullable", "error.t-o.k", "errors=1", "dG9r=="] {
        let token = read(body, |credentials| credentials.token_at("")).await.expect(body);
        assert_eq!(token.expose(), body);
    }
    let error = read("not a token", |credentials| credentials.token_at("")).await.unwrap_err();
    assert!(error.is_invalid_token(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_where_it_is_said_to_be_is_malformed() {
    for body in [
        r#"{"access_token":"SENSITIVE"}"#,
        r#"{"data":"SENSITIVE"}"#,
        r#"{"data":{"token":{"value":"SENSITIVE"}}}"#,
        r#"{"data":{"token":"SENSITIVE","token":"SENSITIVE"}}"#,
        r#"[{"data":{"token":"SENSITIVE"}}]"#,
        r#""SENSITIVE""#,
        r#"{"data":{"token":"SENSITIVE"}"#,
    ] {
        let error = read(body, |credentials| credentials.token_at("/data/token")).await;
        let error = error.expect_err(body);
        assert!(error.is_malformed(), "{body}: {error:?}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_wins_over_a_token_wherever_that_is() {
    let body = r#"{"error":"invalid_scope","error_description":"not SENSITIVE","t":"SENSITIVE"}"#;
    let error = read(body, |credentials| credentials.token_at("/t")).await.unwrap_err();
    assert_eq!((error.code(), error.is_refused()), (Some("invalid_scope"), true));
    assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
}

#[tokio::test(start_paused = true)]
async fn a_token_in_a_failed_answer_is_not_shown_wherever_it_is() {
    for body in [
        r#"{"data":{"value":"SENSITIVE"}}"#,
        r#"{"data":{"value":{"t":"SENSITIVE"}}}"#,
        r#"{"data":{"value":"SENSITIVE","value":"SENSITIVE"}}"#,
        r#"{"data":{"value":"SENSITIVE"}"#,
        r#"{"data":{"value":"SENSITIVE"},"message":"SENSITIVE is of no use"}"#,
        r#"{"data":{"value":"SENSITIVE"},"error":"no SENSITIVE"}"#,
        r#"{"data":{"value":"SENSITIVE"},"error":"x","error_description":"not SENSITIVE"}"#,
    ] {
        let error = failure(body, "/data/value").await;
        assert!(error.is_refused(), "{body}: {error:?}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_token_says_where_one_was_expected() {
    for place in ["", "/data/value"] {
        for body in [
            r#"{"error":"invalid_scope","error_description":"no such scope"}"#,
            "error=invalid_scope&error_description=no+such+scope",
        ] {
            let error = failure(body, place).await;
            assert_eq!(error.code(), Some("invalid_scope"), "{body}");
            assert_eq!(error.description(), Some("no such scope"), "{body}");
        }
        let error = failure(r#"{"message":"no such client","data":null}"#, place).await;
        assert!(shown(&error).contains("no such client"), "{}", shown(&error));
    }
}

async fn failure(body: &str, token_at: &str) -> TokenError {
    let endpoint = TokenEndpoint::new([json(400, body)]);
    let credentials = endpoint.credentials().token_at(token_at).build().unwrap();
    TokenCache::new(credentials).token().await.expect_err(body)
}

#[tokio::test(start_paused = true)]
async fn milliseconds_are_cut_to_whole_seconds() {
    for (expires_in, lifetime) in
        [("3600000", seconds(3600)), ("\"1999\"", seconds(1)), ("0", seconds(0)), ("-1", None)]
    {
        let body = format!(r#"{{"access_token":"tok","expires_in":{expires_in}}}"#);
        let token = read(&body, |builder| builder.expires_in_millis(true)).await.unwrap();
        assert_eq!(token.lifetime(), lifetime, "{expires_in}");
    }
}

#[tokio::test(start_paused = true)]
async fn zero_is_for_ever_only_if_that_is_said() {
    for (expires_in, lifetime) in [
        ("0", Some(Duration::MAX)),
        ("\"0.0\"", Some(Duration::MAX)),
        ("0.5", seconds(0)),
        ("60", seconds(60)),
        ("-1", None),
        ("null", None),
    ] {
        let body = format!(r#"{{"access_token":"tok","expires_in":{expires_in}}}"#);
        let token = read(&body, |builder| builder.zero_means_never(true)).await.unwrap();
        assert_eq!(token.lifetime(), lifetime, "{expires_in}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_expires_is_fetched_once() {
    let endpoint = TokenEndpoint::new([json(200, r#"{"access_token":"tok","expires_in":0}"#)]);
    let tokens = TokenCache::new(endpoint.credentials().zero_means_never(true).build().unwrap());
    for _ in 0..3 {
        tokens.token().await.unwrap();
        tokio::time::advance(Duration::from_secs(100 * 24 * 3600)).await;
    }
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn strictly_only_what_the_rfcs_allow_is_read() {
    for body in [
        r#"{"access_token":"tok-._~+/1==","token_type":"Bearer","expires_in":60,"x":[]}"#,
        r#"{"access_token":"tok","token_type":"bearer"}"#,
    ] {
        read(body, |builder| builder.strict(true)).await.expect(body);
    }
    for (body, words) in [
        (r#"{"access_token":"SENSITIVE"}"#, "token_type"),
        (r#"{"access_token":"SENSITIVE","token_type":""}"#, "token_type"),
        (r#"{"access_token":"SENSITIVE","token_type":"BearerToken"}"#, "token_type"),
        (r#"{"access_token":"SENSITIVE","token_type":" bearer"}"#, "token_type"),
        (r#"{"access_token":"SENSITIVE","token_type":"bearer","expires_in":"60"}"#, "expires_in"),
        (r#"{"access_token":"SENSITIVE","token_type":"bearer","expires_in":60.5}"#, "expires_in"),
        (r#"{"access_token":"SENSITIVE","token_type":"bearer","expires_in":6e1}"#, "expires_in"),
        (r#"{"access_token":"SENSITIVE","token_type":"bearer","expires_in":-1}"#, "expires_in"),
        (r#"{"access_token":"SENSITIVE!AQ","token_type":"bearer"}"#, "access_token"),
        (r#"{"access_token":"SENSITIVE=a","token_type":"bearer"}"#, "access_token"),
        (r#"{"access_token":"==","token_type":"bearer"}"#, "access_token"),
        ("access_token=SENSITIVE&token_type=bearer", "JSON"),
    ] {
        let error = read(body, |builder| builder.strict(true)).await.expect_err(body);
        assert!(error.is_malformed() || error.is_invalid_token(), "{body}: {error:?}");
        assert!(error.to_string().contains(words), "{body}: {error}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
        assert!(
            read(body, |credentials| credentials).await.is_ok(),
            "{body} is not tolerated either"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_strictly_may_be_elsewhere() {
    let strict = |credentials: Builder| {
        credentials.strict(true).token_at("/t").expires_in_at("/e").expires_in_millis(true)
    };
    let token = read(r#"{"t":"tok","e":60000,"token_type":"bearer"}"#, strict).await.unwrap();
    assert_eq!((token.expose(), token.lifetime()), ("tok", seconds(60)));
    let error = read(r#"{"t":"tok","e":"60000","token_type":"bearer"}"#, strict).await.unwrap_err();
    assert!(error.to_string().contains("`strict`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_has_the_prefix_that_it_is_given() {
    let body = r#"{"access_token":"tok","token_type":"bearer"}"#;
    for (prefix, header) in
        [("Token ", "Token tok"), ("", "tok"), ("Token token=", "Token token=tok")]
    {
        let token = read(body, |credentials| credentials.token_prefix(prefix)).await.unwrap();
        assert_eq!((token.header_value().to_str().unwrap(), token.expose()), (header, "tok"));
        assert!(token.header_value().is_sensitive());
    }
}
