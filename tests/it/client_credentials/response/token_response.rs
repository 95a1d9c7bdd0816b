//! What is made of a token endpoint's answers.

use std::{error::Error, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::task::JoinSet;
use tower_bearer::{
    ClientCredentials, Grant, Token, TokenCache, TokenError,
    testing::{self, AuthorizationServer},
};

use crate::client_credentials::token_endpoint::*;

async fn outcome(answers: impl IntoIterator<Item = Answer>) -> Result<Token, TokenError> {
    TokenEndpoint::new(answers).tokens().token().await
}

async fn error(answers: impl IntoIterator<Item = Answer>) -> TokenError {
    outcome(answers).await.expect_err("a token")
}

/// The answers come from a real server, as whatever is between it and the reader has its say too.
#[tokio::test]
async fn every_answer_is_read_as_the_table_says() {
    let table = include_str!("../../../vectors/token-responses.jsonl");
    let mut rows: JoinSet<_> = table.lines().map(row_failure).collect();
    let mut failures = Vec::new();
    while let Some(failure) = rows.join_next().await {
        failures.extend(failure.unwrap());
    }
    assert!(failures.is_empty(), "{} rows\n{}", failures.len(), failures.join("\n"));
}

async fn row_failure(line: &'static str) -> Option<String> {
    let row: Value = serde_json::from_str(line).unwrap();
    let issuer = AuthorizationServer::start().await.unwrap();
    issuer.answer_always(row_answer(&row));
    let http = Client::builder(TokioExecutor::new()).build_http();
    let mut credentials =
        ClientCredentials::builder(http, issuer.token_endpoint(), "client", SECRET);
    if let Some(limit) = row["limits"]["max_body_bytes"].as_u64() {
        credentials = credentials.response_limit(limit as usize);
    }
    let outcome = TokenCache::new(credentials.build().unwrap()).token().await;
    let alternatives = row["alt_expect"].as_array().into_iter().flatten();
    let difference = difference(&outcome, &row["expect"], &row);
    if alternatives.map(|expect| self::difference(&outcome, expect, &row)).any(|d| d.is_none()) {
        return None;
    }
    difference.map(|d| format!("{}: {d}, got {outcome:?}", row["id"]))
}

fn row_answer(row: &Value) -> testing::Answer {
    let body = match row["body"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => BASE64_STANDARD.decode(row["body_b64"].as_str().unwrap()).unwrap(),
    };
    let status = u16::try_from(row["status"].as_u64().unwrap()).unwrap();
    let answer = testing::Answer::status(status.try_into().unwrap()).body(body);
    let headers = row["headers"].as_object().unwrap().iter();
    headers.fold(answer, |answer, (name, value)| {
        answer.header(name.parse().unwrap(), value.as_str().unwrap().parse().unwrap())
    })
}

/// What is not as expected, if anything.
fn difference(
    outcome: &Result<Token, TokenError>,
    expect: &Value,
    row: &Value,
) -> Option<&'static str> {
    let wrong = |is_right: bool, what| (!is_right).then_some(what);
    match outcome {
        Ok(token) => wrong(expect["ok"] == true, "no error")
            .or(wrong(expect["access_token"] == token.expose(), "access_token"))
            .or(wrong(
                expect["expires_in_s"].as_u64().map(Duration::from_secs) == token.lifetime(),
                "expires_in_s",
            ))
            .or(wrong(expect["scope"].as_str() == token.granted_scope(), "scope")),
        Err(error) => wrong(expect["ok"] == false, "no token")
            .or(wrong(expect["kind"] == kind(error), "kind"))
            .or(wrong(expect["error"].as_str() == error.code(), "error"))
            .or(wrong(expect["retryable"] == error.is_transient(), "retryable"))
            .or(wrong(row["status"] == error.status().map_or(0, |s| s.as_u16()), "status"))
            .or(wrong(
                expect["retry_after_s"].as_u64() == error.retry_after().map(|d| d.as_secs()),
                "retry_after_s",
            ))
            .or(wrong(
                expect.get("description").is_none_or(|description| {
                    is_excerpt(error.description(), description.as_str())
                }),
                "description",
            )),
    }
}

fn kind(error: &TokenError) -> &'static str {
    let kinds = [
        (error.code().is_some(), "oauth_error"),
        (error.is_malformed(), "malformed"),
        (error.is_invalid_token(), "invalid_header_value"),
        (error.is_unsupported_token_type(), "unsupported_token_type"),
        (error.is_too_large(), "too_large"),
    ];
    let mut matching = kinds.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind);
    let kind = matching.next().unwrap_or("http_status");
    assert_eq!(matching.next(), None, "{error:?} is of two kinds");
    kind
}

fn is_excerpt(description: Option<&str>, original: Option<&str>) -> bool {
    let escape = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    let original = original.map(|text| text.chars().map(escape).collect::<String>());
    match (description, original) {
        (Some(excerpt), Some(original)) => match excerpt.strip_suffix('…') {
            Some(start) => excerpt.chars().count() == 1024 && original.starts_with(start),
            None => excerpt == original,
        },
        (description, original) => description.is_none() && original.is_none(),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_token_answer_gets_into_an_error() {
    for body in [
        r#"{"access_token":"eyJh.SENSITIVE","access_token":"eyJh.SENSITIVE"}"#,
        r#"{"access_token":"eyJh.SENSITIVE","token_type":"mac"}"#,
        r#"{"access_token":"eyJh.SENSITIVE","token_type":"eyJh.SENSITIVE"}"#,
        r#"{"access_token":"eyJh.SENSITIVE","token_type":["eyJh.SENSITIVE"]}"#,
        r#"{"access_token":"eyJh.SENSITIVE","error":{"a":1}}"#,
        r#"{"access_token":"eyJh.SENSITIVE","error":"x","error_description":"eyJh.SENSITIVE"}"#,
        r#"{"access_token":"eyJh.SENSITIVE","error":"eyJh.SENSITIVE"}"#,
        r#"{"access_token":"eyJh.SENSITIVE "}"#,
        r#"{"access_token":{"value":"eyJh.SENSITIVE"}}"#,
        r#"{"accessToken":"eyJh.SENSITIVE"}"#,
        r#"{"access_token":"eyJh.SENSITIVE""#,
        r#"["eyJh.SENSITIVE"]"#,
        "eyJh.SENSITIVE",
        "access_token=eyJh.SENSITIVE&token_type=mac",
    ] {
        let error = error([json(200, body)]).await;
        assert!(!shown(&error).contains("SENSITIVE"), "{body}: {}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_outside_a_2xx_response_is_neither_used_nor_shown() {
    for body in [
        r#"{"access_token":"eyJh.SENSITIVE","token_type":"Bearer"}"#,
        r#"{"data":{"value":"eyJh.SENSITIVE"}}"#,
        r#"{"accessToken":"SENSITIVE"}"#,
        r#"{"access_token":"SENSITIVE","error":"x","error_description":"not SENSITIVE"}"#,
        r#"{"access_to\u006ben":"SENSITIVE","message":"not SENSITIVE"}"#,
    ] {
        let error = error([json(400, body)]).await;
        assert!(error.is_refused(), "{error:?}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn the_issuers_words_omit_the_secret_in_any_encoding() {
    let raw = format!("client:{SECRET}");
    let form: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let description = format!(
        "got {SECRET} {form} {} {} {}",
        form.to_lowercase(),
        BASE64_STANDARD.encode(&raw),
        BASE64_STANDARD.encode(format!("client:{form}")),
    );
    for (code, description) in [("invalid_client", &*description), (SECRET, "bad")] {
        let body = serde_json::json!({"error": code, "error_description": description});
        let error = error([json(401, &body.to_string())]).await;
        let shown = shown(&error).to_lowercase();
        for secret in [SECRET, &form, "s3cr3t", "7Fjfp", "Y2xpZW5"] {
            assert!(!shown.contains(&secret.to_lowercase()), "{shown}");
        }
        assert!(shown.contains("[left out: it repeats a secret]"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_a_request_keeps_secret_is_kept_out_of_errors() {
    let mut apikey = HeaderValue::from_static("k-SENSITIVE");
    apikey.set_sensitive(true);
    for text in ["pw SENSITIVE", "k-SENSITIVE", "sig=SENSITIVE&tenant=a%20b"] {
        let body = serde_json::json!({"error": "invalid_client", "error_description": text});
        let endpoint = TokenEndpoint::new([json(401, &body.to_string())]);
        let credentials = endpoint
            .at(&format!("{URL}?sig=SENSITIVE&tenant=a%20b"))
            .header(HeaderName::from_static("apikey"), apikey.clone())
            .grant(Grant::legacy_password("me", "pw SENSITIVE"));
        let tokens = TokenCache::new(credentials.build().unwrap());
        let error = tokens.token().await.expect_err("a token");
        assert_eq!(error.description(), Some("[left out: it repeats a secret]"), "{text}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_code_is_not_garbled_by_a_secret_that_reads_like_it() {
    let endpoint = TokenEndpoint::new([json(401, r#"{"error":"invalid_client"}"#)]);
    let credentials = ClientCredentials::builder(endpoint, URL, "client", "client");
    let error = TokenCache::new(credentials.build().unwrap()).token().await.expect_err("a token");
    assert_eq!(error.code(), Some("invalid_client"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_do_next() {
    for (status, body, words) in [
        (401, r#"{"error":"invalid_client"}"#, "basic_unencoded"),
        (401, "", "basic_unencoded"),
        (400, r#"{"error":"invalid_scope"}"#, "check the scope"),
        (400, r#"{"error":"invalid_request"}"#, "basic_unencoded"),
        (404, "<html>", "check its URL"),
        (307, "", "redirect"),
        (200, "<html>", "HTML"),
        (200, r#"{"access_token":"t"#, "ends in the middle"),
        (400, r#"{"error":"use_dpop_nonce"}"#, "DPoP"),
    ] {
        let error = error([json(status, body)]).await;
        assert!(error.to_string().contains(words), "{status} {body}: {error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendors_own_error_is_the_source_cut_short() {
    let long = format!(r#"{{"errorCode":"E0000047","cause":"{}"}}"#, "x".repeat(300));
    for body in [r#"{"status":"BAD_CLIENT","message":"no such client"}"#, &long] {
        let error = error([json(400, body)]).await;
        assert_eq!((error.code(), error.is_refused()), (None, true));
        let source = error.source().unwrap().to_string();
        assert!(source.contains(&body[..20]) && source.chars().count() < 300, "{source}");
    }
    let body = long.replace("xx\"", &format!("xx{SECRET}\""));
    let shown = shown(&error([json(400, &body)]).await);
    assert!(shown.contains("left out") && !shown.contains(SECRET), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_description_keeps_the_trace_id_at_its_end() {
    let body = |length: usize| {
        let description = format!("{} Trace ID: 3f1c", "x".repeat(length - 15));
        format!(r#"{{"error":"invalid_client","error_description":"{description}"}}"#)
    };
    let kept = error([json(401, &body(1024))]).await;
    assert!(kept.description().unwrap().ends_with("Trace ID: 3f1c"), "{kept:?}");
    let cut = error([json(401, &body(1025))]).await;
    assert_eq!(cut.description().unwrap().chars().count(), 1024);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_still_encoded_is_refused_by_name() {
    let gzip = [("content-encoding", "gzip")];
    let malformed = error([answer(200, &gzip, "\u{1f}\u{8b}")]).await;
    assert!(malformed.is_malformed() && malformed.to_string().contains("`gzip`"), "{malformed}");

    let refused = error([answer(401, &gzip, "\u{1f}\u{8b}")]).await;
    assert!(refused.is_refused() && shown(&refused).contains("`gzip`"), "{refused:?}");

    let identity = [("content-encoding", "Identity"), ("content-encoding", "")];
    let ok = outcome([answer(200, &identity, r#"{"access_token":"tok"}"#)]).await;
    assert_eq!(ok.unwrap().expose(), "tok");
}

#[tokio::test(start_paused = true)]
async fn numbers_beyond_all_types_do_not_spoil_a_token() {
    let body = r#"{"access_token":"tok","expires_in":1e999,"x":1e999,"y":-1e999}"#;
    let token = outcome([json(200, body)]).await.unwrap();
    assert_eq!(token.lifetime(), Some(Duration::from_secs(i32::MAX as u64)));
}

#[tokio::test(start_paused = true)]
async fn deep_nesting_where_nobody_looks_does_not_spoil_a_token() {
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let body = format!(r#"{{"access_token":"tok","x":{nested}}}"#);
    assert_eq!(outcome([json(200, &body)]).await.unwrap().expose(), "tok");
    let body = format!(r#"{{"access_token":{nested}}}"#);
    assert!(error([json(200, &body)]).await.is_malformed());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_sound_form_is_malformed() {
    for body in [
        "access_token=a&access_token=a",
        "access_token=a&expires_in=1&expires_in=1",
        "error=a&error=b",
        "see <a href=/?a=b&error=c>",
        "\"access_token=a\"",
        "access_token=a\n&b=c",
        "token=a",
        "access_token",
    ] {
        let error = error([answer(200, &[], body)]).await;
        assert!(error.is_malformed(), "{body}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_told_as_one_whatever_its_body() {
    let large = "x".repeat(2 << 20);
    for body in [body(r#"{"error":"temporarily_unavailable"}"#), body(large), broken("")] {
        let error = error([streamed(302, &[], body)]).await;
        assert!(error.is_refused() && error.to_string().contains("redirects"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn escaped_member_names_are_the_same_names() {
    let body = r#"{"access\u005ftoken":"tok","access_token":"other"}"#;
    assert!(error([json(200, body)]).await.is_malformed());
}
