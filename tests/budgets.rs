//! What a hit may allocate and how large its future is, to the byte, and how much memory many tokens take.
//!
//! A binary of its own, as its allocator counts.

#[path = "../benches/support/mod.rs"]
mod support;

use std::{
    collections::HashMap,
    future::{Ready, ready},
    mem::size_of,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, Token, TokenCaches, TokenError, fetch_fn, future::ResponseFuture,
};

use support::*;

/// Allocations of one hit.
#[derive(Default)]
struct Allocations(HashMap<String, u64>);

impl Visitor for Allocations {
    fn visit<S, B>(&mut self, name: &str, mut service: S, request: impl Fn() -> Request<B>)
    where
        S: Service<Request<B>>,
        S::Error: std::fmt::Debug,
    {
        self.0.insert(name.to_owned(), of_a_hit(&mut service, request));
    }
}

/// The least of some, as once a second a hit compares the clocks, and allocates then.
fn of_a_hit<S, B>(service: &mut S, request: impl Fn() -> Request<B>) -> u64
where
    S: Service<Request<B>>,
    S::Error: std::fmt::Debug,
{
    let hit = |request| measure(|| drop(call(service, request))).count_total;
    std::iter::repeat_with(request).take(5).map(hit).min().expect("there are five")
}

#[test]
fn a_hit_that_can_be_replayed_allocates_one_buffer_and_no_more() {
    for headers in [0, 8] {
        let mut hits = Allocations::default();
        contestants(headers, 40, &mut hits);
        let Allocations(hits) = hits;

        assert_eq!(hits["BearerAuth"], hits["fixed header"] + 1, "{headers} headers");
        assert_eq!(hits["BearerAuth, named origin"], hits["BearerAuth"], "{headers} headers");
        assert_eq!(hits["BearerAuth, try_clone"], hits["BearerAuth"], "{headers} headers");
        assert_eq!(hits["BearerAuth, no_replay"], hits["fixed header"], "{headers} headers");
        // The buffer, what both attempts share, and one for the box that `wrap` makes.
        let buffered = hits["fixed header, boxed body"] + 1 + 2;
        assert_eq!(hits["BearerAuth, buffered, boxed body"], buffered, "{headers} headers");
    }
}

#[test]
fn a_hit_allocates_one_buffer_whatever_the_request() {
    let layer = BearerAuthLayer::new(cached(40));
    for headers in [1, 30, 300] {
        let request = || {
            let mut request = request(8);
            *request.method_mut() = "PROPFIND-WITH-A-LONG-NAME".parse().unwrap();
            *request.uri_mut() =
                format!("https://example.com/{}", "p/".repeat(headers)).parse().unwrap();
            for n in 0..headers {
                let name: HeaderName = format!("x-header-{}", n % 200).parse().unwrap();
                request.headers_mut().append(name, "a".repeat(n).parse().unwrap());
            }
            // So that the token itself needs no room.
            request.headers_mut().reserve(1);
            request
        };
        let once = of_a_hit(&mut layer.clone().no_replay().layer(Bare), request);
        let replayed = of_a_hit(&mut layer.clone().layer(Bare), request);
        assert_eq!(replayed, once + 1, "{headers} headers more");
    }
}

#[test]
fn an_empty_body_is_buffered_without_an_allocation() {
    let empty =
        || request(8).map(|_| BoxBody::new(Body::default().map_err(|never| match never {})));
    let layer = BearerAuthLayer::new(cached(40));
    let buffered = of_a_hit(&mut layer.clone().buffered(1024, BoxBody::new).layer(Bare), empty);
    let not_kept = of_a_hit(&mut layer.no_replay().layer(Bare), empty);
    assert_eq!(buffered, not_kept + 1);
}

#[test]
fn the_settings_of_a_layer_allocate_nothing_for_a_request() {
    let plain = BearerAuthLayer::new(cached(40));
    let set = plain
        .clone()
        .only_for(["https://example.com", "https://API.example.com:443"])
        .unwrap()
        .allow_http()
        .overwrite()
        .header("x-token".parse().unwrap())
        .rejected_when(|status, _| status == 401);
    let hits = of_a_hit(&mut plain.clone().layer(Bare), || request(8));
    assert_eq!(of_a_hit(&mut set.layer(Bare), || request(8)), hits);
}

#[test]
fn a_buffered_body_allocates_the_list_of_its_frames() {
    const FRAMES: usize = 16;
    let streamed = || {
        let frames = (0..FRAMES).map(|_| Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"{}"))));
        request(0).map(|_| BoxBody::new(StreamBody::new(tokio_stream::iter(frames))))
    };
    let reads = service_fn(async |request: Request<BoxBody>| {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok::<_, BoxError>(Response::new(Body::default()))
    });
    let layer = BearerAuthLayer::new(cached(40));
    let plain = of_a_hit(&mut layer.clone().no_replay().layer(reads), streamed);
    let of_limit =
        |limit| of_a_hit(&mut layer.clone().buffered(limit, BoxBody::new).layer(reads), streamed);

    // Room for 4, 8 and 16 frames.
    assert_eq!(of_limit(1024), plain + 3 + 3);
    // The list for the first two, and what is left of the body when the third is too much.
    assert_eq!(of_limit(4), plain + 3 + 1 + 1);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_future_is_136_bytes_less_than_the_request_and_the_inner() {
    type Inner = Ready<Result<Response<Body>, BoxError>>;
    let future = size_of::<ResponseFuture<Bare, Body, Inner, Body>>();
    let inside = size_of::<Request<Body>>() + size_of::<Inner>();
    assert!(future + 136 <= inside, "{future} bytes, where {inside} are not the layer's");
}

const KEYS: u32 = 100_000;
const KEPT: usize = 1_000;
/// A cache with its token and one copy of that takes 1.5 KiB, so 100,000 of them would take 150 MiB.
const BOUND: u64 = 2 << 20;

/// Asks for a token for each key, and says how many were fetched, how many there were, and what was
/// allocated at most.
fn a_token_for_each_key(fetch: fn(u32) -> Result<Token, TokenError>) -> (u32, u32, u64) {
    let (fetches, mut got) = (Arc::new(AtomicU32::new(0)), 0);
    let counted = fetches.clone();
    // The allocations of one thread are counted, so everything runs on this one.
    let allocated = measure(|| {
        let tokens = TokenCaches::builder().capacity(KEPT).build(move |&key: &u32| {
            let fetches = counted.clone();
            Ok::<_, TokenError>(fetch_fn(move |_| {
                fetches.fetch_add(1, Ordering::Relaxed);
                ready(fetch(key))
            }))
        });
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            for key in 0..KEYS {
                // As the layer does.
                if let Ok(token) = tokens.get(&key).unwrap().token().await {
                    drop(token.header_value().clone());
                    got += 1;
                }
            }
        });
    });
    (fetches.load(Ordering::Relaxed), got, allocated.bytes_max)
}

#[test]
fn a_hundred_thousand_keys_take_the_memory_of_a_thousand_tokens() {
    let (fetches, got, bytes) = a_token_for_each_key(|key| {
        Ok(Token::bearer(&format!("{}{key}", access_token(40)))?.expires_in(Duration::MAX))
    });
    assert_eq!((fetches, got), (KEYS, KEYS));
    assert!(bytes < BOUND, "{bytes} bytes");
}

#[test]
fn a_hundred_thousand_failing_keys_take_bounded_memory() {
    let (fetches, got, bytes) =
        a_token_for_each_key(|key| Err(TokenError::refused(format!("{key} is not known"))));
    assert_eq!((fetches, got), (KEYS, 0));
    assert!(bytes < BOUND, "{bytes} bytes");
}

/// What a key takes for its cache, with a token of 800 bytes that nobody or one thread has used.
fn bytes_of_a_key(is_used: bool) -> u64 {
    const KEYS: u32 = 1_000;
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut kept = None;
    let allocated = measure(|| {
        let tokens = TokenCaches::builder().capacity(2 * KEYS as usize).build(|_: &u32| {
            Ok::<_, TokenError>(fetch_fn(|_| ready(Token::bearer(&access_token(800)))))
        });
        runtime.block_on(async {
            for key in 0..KEYS {
                let cache = tokens.get(&key).unwrap();
                let token = cache.token().await.unwrap();
                if is_used {
                    drop(token.header_value().clone());
                    cache.token().await.unwrap();
                }
            }
        });
        kept = Some(tokens);
    });
    u64::try_from(allocated.bytes_current).unwrap() / u64::from(KEYS)
}

#[test]
fn a_key_takes_little_more_memory_than_its_token() {
    let (warm, used) = (bytes_of_a_key(false), bytes_of_a_key(true));
    assert!(warm <= 1_500, "{warm} bytes");
    assert!(used <= 3_000, "{used} bytes");
}
