//! What an authorization server answers: how it is read, a byte for the status, then the body.

#![no_main]

use std::{convert::Infallible, error::Error, iter, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::service_fn;
use tower_bearer::{ClientCredentials, Token, TokenCache, TokenError};

const SECRET: &str = "s3cr3t-7Fjfp0ZBr1KtDRbnfVdmIw";
const STATUSES: [u16; 8] = [200, 201, 204, 302, 400, 401, 429, 503];

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Tolerant,
    Strict,
    Mapped,
    Bare,
}

fuzz_target!(|data: &[u8]| {
    let [reading, status, body @ ..] = data else { return };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let reading = match reading % 4 {
        0 => Reading::Tolerant,
        1 => Reading::Strict,
        2 => Reading::Mapped,
        _ => Reading::Bare,
    };
    let outcome = read(reading, status, body);
    if reading == Reading::Strict {
        if let Ok(token) = &outcome {
            let tolerated = read(Reading::Tolerant, status, body).expect("tolerance of the strict");
            assert_eq!(tolerated.expose(), token.expose());
            assert_eq!(tolerated.lifetime(), token.lifetime());
        }
    }
    match outcome {
        Ok(token) => {
            assert!((200..300).contains(&status));
            let value = token.header_value();
            assert!(value.is_sensitive());
            assert_eq!(
                value.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")),
                Some(token.expose())
            );
            assert!(!token.expose().is_empty());
            assert!(token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            let longest = Duration::from_secs(i32::MAX as u64);
            assert!(token.lifetime().is_none_or(|lifetime| lifetime <= longest));
            assert!(!format!("{token:?}").contains(&format!("Bearer {}", token.expose())));
        }
        Err(error) => check(&error),
    }
});

fn read(reading: Reading, status: u16, body: &[u8]) -> Result<Token, TokenError> {
    let body = Bytes::copy_from_slice(body);
    let http = service_fn(move |_: Request<Full<Bytes>>| {
        let response = Response::builder().status(status).body(Full::new(body.clone()));
        async { Ok::<_, Infallible>(response.expect("a response")) }
    });
    let credentials = ClientCredentials::builder(http, "https://issuer.example/t", "id", SECRET);
    let credentials = match reading {
        Reading::Tolerant => credentials,
        Reading::Strict => credentials.strict(true),
        Reading::Mapped => credentials
            .token_at("/data/0/a~1b")
            .expires_in_at("/data/1")
            .token_type_at("/type")
            .expires_in_millis(true),
        Reading::Bare => credentials.token_at(""),
    };
    let credentials = credentials.build().expect("sound credentials");
    RUNTIME.with(|runtime| runtime.block_on(TokenCache::new(credentials).token()))
}

fn check(error: &TokenError) {
    for cause in iter::successors(Some(error as &dyn Error), |error| (**error).source()) {
        let shown = format!("{cause} {cause:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!cause.to_string().contains(|c: char| c.is_control()), "{shown}");
    }
    assert!(error.description().is_none_or(|text| text.chars().count() <= 1024));
    assert!(!(error.is_refused() && error.is_transient()));
}
