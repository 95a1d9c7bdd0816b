//! `WWW-Authenticate`: one field line a line.

#![no_main]

use http::{HeaderMap, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use tower_bearer::rejection::unauthorized;

fuzz_target!(|data: &[u8]| {
    let lines = data.split(|byte| *byte == b'\n');
    let headers: HeaderMap = lines
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .map(|value| (WWW_AUTHENTICATE, value))
        .collect();
    assert!(!unauthorized(StatusCode::FORBIDDEN, &headers));
    let rejected = unauthorized(StatusCode::UNAUTHORIZED, &headers);
    let text = data.to_ascii_lowercase();
    let has = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
    if !(has("bearer") && has("error")) {
        assert!(rejected, "a new token was given up on without a challenge that says so");
    }

    // What stands in other challenges before it makes no difference.
    let mut more = HeaderMap::new();
    more.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"a, b\", error=\"no\""));
    more.extend(headers);
    assert_eq!(unauthorized(StatusCode::UNAUTHORIZED, &more), rejected);
});
