//! APIs, issuers and callers that behave in ways which once broke a promise.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, SystemTime},
};

use http::Request;
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, limit::ConcurrencyLimit, service_fn};
use tower_bearer::{BearerAuthLayer, Token, TokenCache, TokenError, fetch_fn};

use crate::support::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn bad(issuer: &Issuer) -> Api {
    Api::of(issuer).rejecting_everything()
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_bad_host_cools_down_by_itself_even_if_callers_give_up() {
    for hosts in [1, 2, 3] {
        let issuer = Issuer::of(seconds(36_000)).latency(ms(50));
        let api = bad(&issuer).latency(ms(60));
        let mut client = BearerAuthLayer::new(issuer.clone()).layer(api);
        let started = Instant::now();
        for n in 0.. {
            if started.elapsed() >= seconds(60) {
                break;
            }
            let uri = format!("https://h{}.example.com/", n % hosts);
            let _ = tokio::time::timeout(ms(150), send(&mut client, get(&uri))).await;
        }
        assert!(issuer.fetches() <= 8 * hosts, "{hosts} hosts: {} fetches", issuer.fetches());
    }
}

#[tokio::test(start_paused = true)]
async fn the_hundredth_host_that_refuses_everything_cools_down_too() {
    let issuer = Issuer::of(seconds(36_000));
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(bad(&issuer));
    for host in 0..99 {
        send(&mut client, get(&format!("https://h{host}.example.com/"))).await.unwrap();
    }
    let before = issuer.fetches();
    for _ in 0..100 {
        send(&mut client, get("https://h99.example.com/")).await.unwrap();
    }
    assert!(issuer.fetches() - before <= 1, "{}", issuer.fetches() - before);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_every_other_request_has_a_budget() {
    for second in [200, 503] {
        let issuer = Issuer::of(seconds(36_000));
        let n = Arc::new(AtomicUsize::new(0));
        let api = service_fn(move |_: Request<Body>| {
            let status = if n.fetch_add(1, Relaxed) % 2 == 0 { 401 } else { second };
            async move { Ok::<_, Infallible>(answer(status)) }
        });
        let mut client = BearerAuthLayer::new(issuer.clone()).layer(api);
        for _ in 0..600 {
            send(&mut client, get("https://api.example.com/")).await.unwrap();
            advance(ms(100)).await;
        }
        assert!(issuer.fetches() <= 22, "{second}: {} fetches in a minute", issuer.fetches());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_api_keeps_no_good_one_from_healing_whatever_the_uri() {
    // One layer each, no copy of the request, and a URI that names no host, or hosts and paths.
    for [bad_uri, good_uri] in [
        ["/service/Method", "/service/Method"],
        ["/bad.Service/Method", "/good.Service/Method"],
        ["https://bad.example.com/", "https://api.example.com/"],
        ["https://api.example.com/bad", "https://api.example.com/good"],
    ] {
        let issuer = Issuer::of(seconds(36_000));
        let tokens = TokenCache::new(issuer.clone());
        let mut bad = BearerAuthLayer::new(tokens.clone()).no_replay().layer(bad(&issuer));
        let mut good = BearerAuthLayer::new(tokens).layer(Api::of(&issuer));
        for _ in 0..70 {
            send(&mut bad, get(bad_uri)).await.unwrap();
            advance(seconds(1)).await;
        }
        assert_eq!(send(&mut good, get(good_uri)).await.unwrap().status(), 200);
        issuer.revoke_all();
        assert_eq!(send(&mut good, get(good_uri)).await.unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_the_service_is_busy_is_not_sent() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (seen, started) = (log.clone(), Instant::now());
    let slow = service_fn(move |request: Request<Body>| {
        let token = request.headers()["authorization"].clone();
        seen.lock().unwrap().push((started.elapsed(), token));
        async {
            sleep(seconds(600)).await;
            Ok::<_, Infallible>(answer(200))
        }
    });
    let client =
        BearerAuthLayer::new(Issuer::of(seconds(60))).layer(ConcurrencyLimit::new(slow, 1));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                send(&mut client, get("https://api.example.com/")).await.unwrap()
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|(at, token)| token != "Bearer t1" || *at < seconds(60)), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_token_is_used_though_another_api_suspects_it() {
    let issuer = Issuer::of(seconds(36_000));
    let tokens = TokenCache::new(issuer.clone());
    let mut good = BearerAuthLayer::new(tokens.clone()).layer(Api::of(&issuer).latency(seconds(3)));
    tokens.token().await.unwrap();
    issuer.revoke("t1");
    let slow =
        tokio::spawn(async move { send(&mut good, get("https://good.example/")).await.unwrap() });
    settle().await;
    tokens.reject(&tokens.peek().unwrap());
    assert_eq!(tokens.token().await.unwrap().expose(), "t2");
    advance(seconds(2)).await;
    issuer.trouble(Trouble::Hangs);
    let mut bad = BearerAuthLayer::new(tokens).layer(bad(&issuer));
    tokio::spawn(async move { send(&mut bad, get("https://bad.example/")).await.unwrap() });
    assert_eq!(slow.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_after_an_old_failure_makes_the_next_caller_wait() {
    let issuer = Issuer::of(seconds(43_200));
    let cache = TokenCache::new(issuer.clone());
    cache.token().await.unwrap();
    advance(seconds(43_060)).await;
    issuer.trouble(Trouble::RetryAfter(seconds(60)));
    cache.token().await.unwrap();
    settle().await;
    issuer.trouble(None);
    advance(seconds(61)).await;
    let refused = cache.peek().unwrap();
    cache.reject(&refused);
    assert_ne!(cache.token().await.unwrap().expose(), refused.expose());
}

/// Many callers start at the same moment on threads of their own, again and again.
#[test]
fn callers_on_several_threads_share_one_fetch() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    for _ in 0..2_000 {
        let fetches = Arc::new(AtomicUsize::new(0));
        let cache = TokenCache::new(fetch_fn({
            let fetches = fetches.clone();
            move |_| {
                fetches.fetch_add(1, SeqCst);
                async { Ok::<_, TokenError>(Token::bearer("t")?.expires_in(seconds(300))) }
            }
        }));
        runtime.block_on(async {
            let callers: Vec<_> = (0..6)
                .map(|_| {
                    let cache = cache.clone();
                    tokio::spawn(async move { cache.token().await.map(drop) })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap().unwrap();
            }
        });
        assert_eq!(fetches.load(SeqCst), 1);
    }
}

/// An error of the fetcher whose `Drop` calls back into the cache.
#[derive(Debug)]
struct CallsBack(Arc<OnceLock<TokenCache>>);

impl fmt::Display for CallsBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calls back")
    }
}

impl std::error::Error for CallsBack {}

impl Drop for CallsBack {
    fn drop(&mut self) {
        if let Some(cache) = self.0.get() {
            cache.reject(&Token::bearer("another").unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_uses_the_cache_as_it_is_dropped_locks_nothing() {
    let slot: Arc<OnceLock<TokenCache>> = Arc::default();
    let fetches = AtomicUsize::new(0);
    let cache = TokenCache::new(fetch_fn({
        let slot = slot.clone();
        move |_| {
            let (n, error) = (fetches.fetch_add(1, SeqCst), CallsBack(slot.clone()));
            async move {
                match n {
                    0 | 1 => Err(TokenError::unavailable(error)),
                    _ => Token::bearer("t"),
                }
            }
        }
    }));
    slot.set(cache.clone()).unwrap();
    for _ in 0..2 {
        assert!(cache.token().await.is_err());
        advance(seconds(2)).await;
    }
    assert_eq!(cache.token().await.unwrap().expose(), "t");
}

#[test]
fn a_token_that_has_not_expired_is_used_where_no_fetch_can_run() {
    let skew = Arc::new(Mutex::new(Duration::ZERO));
    let cache = TokenCache::builder()
        .wall_clock({
            let (start, skew) = (SystemTime::now(), skew.clone());
            move || start + *skew.lock().unwrap()
        })
        .build(Issuer::of(seconds(300)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(cache.token()).unwrap();
    *skew.lock().unwrap() = seconds(280);
    assert!(tokio_test::task::spawn(cache.token()).poll().is_ready());
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    match tokio_test::task::spawn(cache.token()).poll() {
        std::task::Poll::Ready(Ok(token)) => assert_eq!(token.expose(), "t1"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_tokens_of_no_lifetime_cost_one_fetch_a_request() {
    let issuer = Issuer::of(Duration::ZERO);
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(bad(&issuer));
    for _ in 0..600 {
        send(&mut client, get("https://api.example.com/")).await.unwrap();
        advance(ms(100)).await;
    }
    assert!(issuer.fetches() <= 610, "{}", issuer.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_still_leaves_the_issuer_alone() {
    let issuer = Issuer::of(seconds(43_200));
    let cache = TokenCache::new(issuer.clone());
    cache.token().await.unwrap();
    issuer.trouble(Trouble::RetryAfter(Duration::ZERO));
    advance(seconds(43_060)).await;
    for _ in 0..600 {
        cache.token().await.unwrap();
        settle().await;
        advance(ms(100)).await;
    }
    assert!(issuer.fetches() <= 30, "{}", issuer.fetches());
}
