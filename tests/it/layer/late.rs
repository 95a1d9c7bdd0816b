//! What comes late: polls, permits, refusals and the end of a body.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, TokenCache};

use crate::support::*;

const URI: &str = "https://api.example.com/";

#[tokio::test(start_paused = true)]
async fn a_second_attempt_that_waited_does_not_send_an_expired_token() {
    let issuer = Issuer::of(seconds(60)).latency(seconds(1));
    let api = Api::of(&issuer);
    let one = Arc::new(tokio::sync::Semaphore::new(1));
    let tokens = TokenCache::new(issuer.clone());
    let layer = BearerAuthLayer::new(tokens.clone());
    let mut client = layer.layer(ConcurrencyLimit::with_semaphore(api.clone(), one.clone()));
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke_all();
    let a = tokio::spawn(async move { send(&mut client, get(URI)).await });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await; // refused, t2 is fetched
    let permit = one.clone().acquire_owned().await.unwrap();
    tokio::time::sleep(seconds(100)).await;
    let fresh = tokens.token().await.unwrap(); // t3 is in the cache
    assert_eq!(fresh.expose(), "t3");
    issuer.revoke("t2"); // expired: what a real API would say
    drop(permit);
    let response = a.await.unwrap().unwrap();
    assert!(issuer.has_expired("t2", Instant::now()));
    assert_eq!(
        (response.status(), api.seen()),
        (StatusCode::OK, vec!["t1".into(), "t1".into(), "t3".to_string()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_rejected_while_the_service_was_busy_is_not_sent() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let api = Api::of(&issuer);
    let one = Arc::new(tokio::sync::Semaphore::new(1));
    let tokens = TokenCache::new(issuer.clone());
    let layer = BearerAuthLayer::new(tokens.clone()).no_replay();
    let mut client = layer.layer(ConcurrencyLimit::with_semaphore(api.clone(), one.clone()));
    let mut service = client.ready().await.unwrap().clone();
    let b = client.call(get(URI)); // nothing cached: acquires
    let b = tokio::spawn(b);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let permit = one.clone().acquire_owned().await.unwrap();
    tokio::time::sleep(seconds(5)).await; // b has t1, waits for a permit
    let t1 = tokens.token().await.unwrap();
    issuer.revoke("t1");
    tokens.reject(&t1); // "so that the next caller waits for another"
    drop(permit);
    let response = b.await.unwrap().unwrap();
    let _ = &mut service;
    assert_eq!((response.status(), api.seen()), (StatusCode::OK, vec!["t2".to_string()]));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_polled_late_does_not_send_an_expired_token() {
    let issuer = Issuer::of(seconds(60)).latency(seconds(1));
    let api = Api::of(&issuer);
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(api.clone());
    let mut call = pin!(client.ready().await.unwrap().call(get(URI)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    tokio::time::sleep(seconds(3600)).await;
    call.await.unwrap();
    let sent = api.seen().pop().unwrap();
    assert!(!issuer.has_expired(&sent, Instant::now()), "sent {sent}, expired for an hour");
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_polled_late_sends_no_expired_token() {
    let issuer = Issuer::of(seconds(60)).latency(seconds(1));
    let api = Api::of(&issuer);
    let mut client = BearerAuthLayer::new(issuer.clone()).layer(api.clone());
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke_all();
    let mut call = pin!(client.ready().await.unwrap().call(get(URI)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    tokio::time::sleep(seconds(3600)).await;
    call.await.unwrap();
    let sent = api.seen().pop().unwrap();
    assert!(!issuer.has_expired(&sent, Instant::now()), "sent {sent}, expired for an hour");
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_is_not_told_that_an_expired_token_was_refused() {
    let issuer = Issuer::of(seconds(60));
    let api = Api::of(&issuer).latency(seconds(150));
    let tokens = TokenCache::new(issuer.clone());
    let mut client = BearerAuthLayer::new(tokens.clone()).layer(api.clone());
    let a = tokio::spawn(async move { send(&mut client, get(URI)).await });
    tokio::time::sleep(seconds(58)).await;
    assert_eq!(tokens.token().await.unwrap().expose(), "t2");
    issuer.revoke("t1");
    tokio::time::sleep(seconds(120)).await;
    assert!(!issuer.lock().rejected.contains(&"t2".to_string()), "{:?}", issuer.lock().rejected);
    a.abort();
}

struct Holey(u8);
impl http_body::Body for Holey {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a"))))),
            2 => panic!("a bug in the body, b is lost"),
            3 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"c"))))),
            _ => Poll::Ready(None),
        }
    }
}

/// Polled again after a panic, the second attempt (or a first one over the limit) goes on past the hole.
#[tokio::test(start_paused = true)]
async fn after_a_panic_no_attempt_reads_on() {
    for limit in [0, 100] {
        // over the limit: the first attempt reads alone
        let issuer = Issuer::default();
        let text = Arc::new(Mutex::new(String::new()));
        let ended = Arc::new(Mutex::new(false));
        let http = service_fn({
            let (text, ended) = (text.clone(), ended.clone());
            move |request: Request<Boxed>| {
                let (text, ended) = (text.clone(), ended.clone());
                async move {
                    let mut body = request.into_body();
                    loop {
                        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()))
                        }));
                        match polled {
                            Err(_) => continue,
                            Ok(Poll::Ready(Some(Ok(frame)))) => text.lock().unwrap().push_str(
                                std::str::from_utf8(&frame.into_data().unwrap()).unwrap(),
                            ),
                            Ok(Poll::Ready(None)) => {
                                *ended.lock().unwrap() = true;
                                break;
                            }
                            Ok(_) => break,
                        }
                    }
                    Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
                }
            }
        });
        let mut client = BearerAuthLayer::new(issuer).buffered(limit, Boxed::new).layer(http);
        let request = Request::post(URI).body(Boxed::new(Holey(0))).unwrap();
        send(&mut client, request).await.unwrap();
        assert!(!*ended.lock().unwrap(), "limit {limit}: {:?} looks whole", text.lock().unwrap());
    }
    let _ = Full::<Bytes>::default().collect().await;
}

#[derive(Default)]
struct Rs {
    closed: bool,
    polled: bool,
    waker: Option<Waker>,
}
/// Its producer closes it (a flag, then a wake) right after it was polled. Dropped, it takes its waker out, as `Notified` does.
struct Racy(Arc<Mutex<Rs>>);
impl Drop for Racy {
    fn drop(&mut self) {
        self.0.lock().unwrap().waker = None;
    }
}
impl http_body::Body for Racy {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut s = self.0.lock().unwrap();
        if s.closed {
            return Poll::Ready(None);
        }
        s.polled = true;
        s.waker = Some(cx.waker().clone());
        Poll::Pending
    }
    fn is_end_stream(&self) -> bool {
        let mut s = self.0.lock().unwrap();
        s.closed = s.polled; // first step of the producer, on another thread
        s.closed
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_between_two_looks_wakes_the_first_attempt() {
    let state = Arc::new(Mutex::new(Rs::default()));
    let http = service_fn(|request: Request<Boxed>| async {
        let body: Boxed = request.into_body();
        Drain(body).await;
        Ok::<_, BoxError>(answer(200))
    });
    let producer = state.clone();
    let tokens = TokenCache::new(Issuer::default());
    tokens.token().await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(1)).await;
        let waker = producer.lock().unwrap().waker.take(); // its second step
        if let Some(waker) = waker {
            waker.wake()
        }
    });
    let mut client = BearerAuthLayer::new(tokens).buffered(100, Boxed::new).layer(http);
    let request = Request::post(URI).body(Boxed::new(Racy(state))).unwrap();
    let sent = tokio::spawn(client.ready().await.unwrap().call(request));
    tokio::time::timeout(seconds(60), sent).await.expect("hangs").unwrap().unwrap();
}

async fn fetches(first: Response<Body>, second: Response<Body>) -> usize {
    let issuer = Issuer::default();
    let n = Arc::new(Mutex::new(std::collections::HashMap::<String, usize>::new()));
    let http = service_fn(move |request: Request<Body>| {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        let mut n = n.lock().unwrap();
        let times = n.entry(token.clone()).or_default();
        *times += 1;
        // The first request with t1 is refused; every other token meets `second` once, then `first`.
        let r = if token == "Bearer t1" || *times > 1 { first.clone() } else { second.clone() };
        async move { Ok::<_, Infallible>(r) }
    });
    let mut client = BearerAuthLayer::new(issuer.clone())
        .rejected_when(tower_bearer::rejection::grpc)
        .layer(http);
    for _ in 0..6 {
        send(&mut client, get(URI)).await.unwrap();
    }
    issuer.fetches()
}

#[tokio::test(start_paused = true)]
async fn in_grpc_unavailable_says_as_little_of_a_token_as_503() {
    let status = |s: &str| {
        let mut r = answer(200);
        r.headers_mut().insert("grpc-status", s.parse().unwrap());
        r
    };
    let http = fetches(status("16"), answer(503)).await;
    let grpc = fetches(status("16"), status("14")).await;
    assert_eq!(grpc, http, "fetches");
}

struct Drain(Boxed);
impl Future for Drain {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.0).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(()),
        }
    }
}
