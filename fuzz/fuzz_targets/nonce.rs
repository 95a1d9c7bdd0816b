//! What an API answers to a token that is bound: one response a block, a field line a line.

#![no_main]

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_bearer::{BearerAuthLayer, DpopKey, JwtAlgorithm, Token, fetch_fn};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
});

/// `c` begins a challenge, `n` a nonce, and what else there is makes it no refusal.
fn response(block: &[u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let mut headers = HeaderMap::new();
    for line in block.split(|byte| *byte == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        match kind {
            b'c' => {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                headers.append("www-authenticate", value);
            }
            b'n' => drop(headers.append("dpop-nonce", value)),
            _ => {}
        }
    }
    *response.headers_mut() = headers;
    response
}

/// The nonce in the proof of a request, and whether it is its own.
fn nonce<B>(request: &Request<B>) -> Option<String> {
    let proof = request.headers()["dpop"].to_str().unwrap();
    let claims = proof.split('.').nth(1).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["htm"], "GET");
    assert_eq!(claims["htu"], "https://api.example.com/orders");
    claims.get("nonce").map(|nonce| nonce.as_str().unwrap().to_owned())
}

fuzz_target!(|data: &[u8]| {
    let key = DpopKey::generate(JwtAlgorithm::EdDSA).unwrap();
    let fetches = Arc::new(AtomicUsize::new(0));
    let count = fetches.clone();
    let tokens = fetch_fn(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let token = Token::dpop(&format!("t{number}"), &key);
        async move { token.map(|token| token.expires_in(Duration::from_secs(3600))) }
    });
    let blocks: Vec<Vec<u8>> = data.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let (sends, given) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (sent, known) = (sends.clone(), given.clone());
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let response = response(blocks.get(number).map_or(b"", |block| block));
        let mut known = known.lock().unwrap();
        if let Some(nonce) = nonce(&request) {
            assert!(known.contains(&nonce.into_bytes()), "a nonce that nobody gave");
        }
        let nonces = response.headers().get_all("dpop-nonce").iter();
        known.extend(nonces.map(|value| value.as_bytes().to_vec()));
        async move { Ok::<_, Infallible>(response) }
    });
    let client = BearerAuthLayer::new(tokens).layer(api);
    let request =
        || Request::get("https://api.example.com/orders?page=1").body(Full::default()).unwrap();
    for requests in 1..=3 {
        let before = sends.load(Ordering::Relaxed);
        RUNTIME.block_on(client.clone().oneshot(request())).unwrap();
        assert!(sends.load(Ordering::Relaxed) - before <= 3);
        assert!(fetches.load(Ordering::Relaxed) <= 1 + requests);
    }
});
