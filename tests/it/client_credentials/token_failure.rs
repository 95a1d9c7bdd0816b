//! What becomes of a token request that fails.

use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tower::{Layer, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, ClientAuth, ClientCredentials, Placement, TokenCache,
    TokenError,
};

use crate::client_credentials::token_endpoint::*;

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_once_more() {
    for first in [
        json(503, ""),
        json(408, ""),
        json(520, "<html>"),
        json(500, r#"{"error":"server_error"}"#),
        json(400, r#"{"error":"temporarily_unavailable"}"#),
        streamed(200, &[], broken(r#"{"access_token":"t"#)),
        streamed(502, &[], broken("<html>")),
        Answer::Error("connection reset".into()),
    ] {
        let endpoint = TokenEndpoint::new([first, token()]);
        assert_eq!(endpoint.tokens().token().await.unwrap().expose(), "tok");
        assert_eq!(endpoint.requests(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_failure_is_the_last() {
    let endpoint = TokenEndpoint::new([json(503, ""), Answer::Error("connection reset".into())]);
    let before = tokio::time::Instant::now();
    let error = endpoint.tokens().token().await.expect_err("a token");
    assert!(error.is_transient() && error.status().is_none());
    let paused = before.elapsed();
    assert!((Duration::from_millis(100)..=Duration::from_millis(301)).contains(&paused));
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_or_asked_for_time_is_not_tried_again() {
    let retry = [("retry-after", "1")];
    for only in [
        json(400, r#"{"error":"invalid_request"}"#),
        json(401, ""),
        json(501, ""),
        json(307, ""),
        json(429, ""),
        json(400, r#"{"error":"slow_down"}"#),
        json(503, r#"{"error":"invalid_client"}"#),
        answer(503, &retry, ""),
        answer(503, &retry, "x".repeat(2 << 20)),
        answer(400, &retry, r#"{"error":"temporarily_unavailable"}"#),
        json(200, "{}"),
        streamed(401, &[], broken("")),
    ] {
        let endpoint = TokenEndpoint::new([only, token()]);
        endpoint.tokens().token().await.expect_err("a token");
        assert_eq!(endpoint.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_response_is_a_typed_error_and_is_asked_for_again() {
    let redirect = [("location", "https://elsewhere.example/?SENSITIVE")];
    let large = "x".repeat(2 << 20);
    type Check = fn(&TokenError) -> bool;
    let cases: Vec<(&str, Vec<Answer>, Check)> = vec![
        ("HTML", vec![answer(200, &[], "<!DOCTYPE html>")], |e| e.is_malformed()),
        ("an error", vec![json(200, r#"{"error":"invalid_client"}"#)], |e| e.code().is_some()),
        ("half an answer", vec![json(200, r#"{"access_token":"SENSIT"#)], |e| e.is_malformed()),
        ("2 MiB", vec![json(200, &large)], |e| e.is_too_large()),
        ("2 MiB of 503", vec![json(503, &large), json(503, &large)], |e| {
            e.is_too_large() && e.is_transient()
        }),
        ("a redirect", vec![answer(307, &redirect, "")], |e| {
            e.status().is_some_and(|status| status == 307) && e.is_refused()
        }),
        ("silence", vec![Answer::Silence], |e| e.is_timeout()),
        ("a line break", vec![json(200, r#"{"access_token":"SENSI\r\nTIVE"}"#)], |e| {
            e.is_invalid_token()
        }),
        ("no token", vec![json(200, r#"{"access_token":""}"#)], |e| e.is_malformed()),
        (
            "a lost connection",
            vec![Answer::Error(SECRET.into()), Answer::Error(SECRET.into())],
            |e| e.is_transient() && e.status().is_none(),
        ),
    ];
    for (what, answers, is_right) in cases {
        let attempts = answers.len();
        let endpoint = TokenEndpoint::new(answers.into_iter().chain([token()]));
        let tokens = endpoint.tokens();
        let error = tokens.token().await.expect_err(what);
        assert!(is_right(&error), "{what}: {error:?}");
        assert_eq!(endpoint.requests(), attempts, "{what}");
        let shown = shown(&error);
        for hidden in ["SENSI", "elsewhere", SECRET] {
            assert!(!shown.contains(hidden), "{what}: {shown}");
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(tokens.token().await.unwrap().expose(), "tok", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_client_keeps_its_type() {
    let refused = || Answer::Error(std::io::Error::other("connection refused").into());
    let tokens = TokenEndpoint::new([refused(), refused()]).tokens();
    let error = tokens.token().await.expect_err("a token");
    let source = error.source().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(source.unwrap().to_string(), "connection refused");
    assert!(error.to_string().contains(URL), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_client_that_shows_the_url_is_told_without_it() {
    let url = format!("{URL}?sig=SENSITIVE");
    let uri: http::Uri = format!("{url}&client_secret=SENSITIVE").parse().unwrap();
    let failed = || Answer::Error(Failed(format!("in {uri}").into()).into());
    let endpoint = TokenEndpoint::new([failed(), failed()]);
    let credentials =
        ClientCredentials::builder(endpoint, url, "client", ClientAuth::legacy_query("s3cr3t"));
    let tokens = TokenCache::new(credentials.placement(Placement::LegacyGet).build().unwrap());
    let error = tokens.token().await.expect_err("a token");
    assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    assert!(shown(&error).contains("error sending request"), "{}", shown(&error));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_the_very_token_fails_at_once() {
    let inner = TokenError::refused("the very token");
    let endpoint = TokenEndpoint::new([Answer::Error(Failed(inner.into()).into())]);
    let error = endpoint.tokens().token().await.expect_err("a token");
    assert!(error.is_refused() && endpoint.requests() == 1, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_this_crate_is_redacted_like_the_clients_own() {
    for (inner, instead) in [
        (TokenError::unavailable(format!("no answer to {SECRET}")), "[left out"),
        (TokenError::unavailable(Failed(format!("in {URL}?key=SENSITIVE").into())), "[redacted]"),
    ] {
        let failed = || Answer::Error(Failed(inner.clone().into()).into());
        let endpoint = TokenEndpoint::new([failed(), failed()]);
        let error = endpoint.tokens().token().await.expect_err("a token");
        assert!(error.is_transient() && endpoint.requests() == 2, "{error:?}");
        assert!(error.to_string().contains(URL), "{error}");
        let shown = shown(&error);
        assert!(!shown.contains(SECRET) && !shown.contains("SENSITIVE"), "{shown}");
        assert!(shown.contains(instead), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_this_crate_without_a_secret_is_the_source() {
    let inner = TokenError::unavailable("busy").retry_in(Duration::from_secs(7));
    let endpoint = TokenEndpoint::new([Answer::Error(inner.into())]);
    let error = endpoint.tokens().token().await.expect_err("a token");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let source = error.source().and_then(|source| source.downcast_ref::<TokenError>());
    assert_eq!(source.unwrap().source().unwrap().to_string(), "busy");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_the_token_it_fetches_is_found_out() {
    let (error, after) = wait_for_own_token(false).await;
    assert!(error.is_config() && after.is_zero(), "{error:?}");
    let (error, after) = wait_for_own_token(true).await;
    assert!(error.is_timeout() && after == Duration::from_secs(10), "{error:?}");
}

async fn wait_for_own_token(another_task: bool) -> (TokenError, Duration) {
    let authorized = Arc::new(OnceLock::<BearerAuth<TokenEndpoint>>::new());
    let client = {
        let authorized = authorized.clone();
        tower::service_fn(move |request| {
            let sent = authorized.get().unwrap().clone().oneshot(request);
            async move {
                match another_task {
                    true => tokio::spawn(sent).await?,
                    false => sent.await,
                }
            }
        })
    };
    let credentials = ClientCredentials::builder(client, URL, "client", ClientAuth::post(SECRET));
    let tokens = TokenCache::new(credentials.build().unwrap());
    let layer = BearerAuthLayer::new(tokens.clone());
    assert!(authorized.set(layer.layer(TokenEndpoint::default())).is_ok());

    let before = tokio::time::Instant::now();
    let error = tokens.token().await.expect_err("a token");
    (error, before.elapsed())
}

/// As HTTP clients have them, with a cause.
#[derive(Debug)]
struct Failed(BoxError);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error sending request")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
