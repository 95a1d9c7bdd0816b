//! What is sent the second time, and what is kept for that.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, NotReplayed, rejection,
    replay::{Buffered, ReplayBody},
};
use tower_test::mock;

use crate::support::*;

type Mock = mock::Mock<Request<Boxed>, Response<Body>>;
type Handle = mock::Handle<Request<Boxed>, Response<Body>>;
type Wrap = fn(ReplayBody<Boxed>) -> Boxed;

fn full(data: &'static str) -> Boxed {
    Boxed::new(Full::from(data).map_err(|never| match never {}))
}

fn post(body: Boxed) -> Request<Boxed> {
    Request::post("https://api.example.com/orders").body(body).unwrap()
}

fn layer(issuer: &Issuer, limit: usize) -> BearerAuthLayer<Buffered<Wrap>> {
    BearerAuthLayer::new(issuer.clone()).buffered(limit, Boxed::new)
}

fn client(issuer: &Issuer, limit: usize) -> (BearerAuth<Mock, Buffered<Wrap>>, Handle) {
    let (inner, handle) = mock::pair();
    (layer(issuer, limit).layer(inner), handle)
}

/// Reads all of it.
async fn read(body: Boxed) -> Result<(Bytes, Option<HeaderMap>), BoxError> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

/// The data of the next frame.
async fn next(body: &mut Boxed) -> Bytes {
    body.frame().await.expect("a frame").expect("no error").into_data().expect("data")
}

fn why(response: &Response<Body>) -> Option<&NotReplayed> {
    response.extensions().get()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_read_is_sent_once_more_with_its_trailers() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "12".parse().unwrap());
    let (sender, body) = channel();
    sender.send("one");
    sender.send("two");
    sender.frame(Ok(Frame::trailers(trailers.clone())));
    drop(sender);
    let (response, (first, second)) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        let first = read(first.into_body()).await.unwrap();
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        assert_eq!(second.headers()["authorization"], "Bearer t2");
        let second = read(second.into_body()).await.unwrap();
        reply.send_response(answer(200));
        (first, second)
    });
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(first, (Bytes::from("onetwo"), Some(trailers)));
    assert_eq!(first, second);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_half_a_body_is_replayed_with_the_whole() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let (sender, body) = channel();
    sender.send("one");
    let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        let mut first = first.into_body();
        assert_eq!(next(&mut first).await, "one");
        sender.send("two");
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        let mut second = second.into_body();
        assert_eq!(next(&mut second).await, "one");
        let cut_off = first.frame().await.unwrap().unwrap_err();
        assert!(cut_off.to_string().contains("cut off"), "{cut_off}");
        assert_eq!(next(&mut second).await, "two");
        sender.send("three");
        drop(sender);
        assert_eq!(next(&mut second).await, "three");
        assert!(second.frame().await.is_none());
        reply.send_response(answer(200));
        assert!(first.frame().await.unwrap().is_err());
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_body_that_nobody_reads_any_more_is_replayed() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let (sender, body) = channel();
    sender.send("one");
    let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        assert_eq!(next(&mut first.into_body()).await, "one");
        sender.send("two");
        drop(sender);
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        assert_eq!(read(second.into_body()).await.unwrap().0, "onetwo");
        reply.send_response(answer(200));
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_is_held_during_the_fetch_then_cut_off() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let (mut client, mut handle) = client(&issuer, 100);
    let (sender, body) = channel();
    sender.send("one");
    let mut response = task::spawn(async { send(&mut client, post(body)).await });
    assert_pending!(response.poll());
    tokio::time::sleep(seconds(6)).await;
    assert_pending!(response.poll());
    let (first, reply) = handle.next_request().await.unwrap();
    let mut first = first.into_body();
    assert_eq!(next(&mut first).await, "one");
    sender.send("two");
    // No further request can be sent: the service may wait for this one to end.
    handle.allow(0);
    reply.send_response(answer(401));
    assert_pending!(response.poll());
    let mut frame = task::spawn(async { first.frame().await.unwrap() });
    assert_pending!(frame.poll());
    tokio::time::sleep(seconds(6)).await;
    assert_pending!(frame.poll());
    assert_pending!(response.poll());
    assert!(frame.is_woken());
    assert!(assert_ready!(frame.poll()).is_err());
}

#[tokio::test(start_paused = true)]
async fn without_a_new_token_the_first_attempt_goes_on() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let (mut client, mut handle) = client(&issuer, 3);
    let (sender, body) = channel();
    sender.send("one");
    // The future is kept after it has ended.
    let mut response = task::spawn(client.ready().await.unwrap().call(post(body)));
    assert_pending!(response.poll());
    tokio::time::sleep(seconds(6)).await;
    assert_pending!(response.poll());
    let (first, reply) = handle.next_request().await.unwrap();
    let mut first = first.into_body();
    assert_eq!(next(&mut first).await, "one");
    issuer.trouble(Trouble::Down);
    reply.send_response(answer(401));
    assert_pending!(response.poll());
    sender.send("two");
    let mut frame = task::spawn(async { first.frame().await.unwrap().unwrap() });
    assert_pending!(frame.poll());
    tokio::time::sleep(seconds(6)).await;
    let refusal = assert_ready!(response.poll()).unwrap();
    assert_eq!(refusal.status(), 401);
    assert!(matches!(why(&refusal), Some(NotReplayed::NoToken(_))));
    assert!(frame.is_woken());
    assert_eq!(assert_ready!(frame.poll()).into_data().unwrap(), "two");
    drop(frame);
    sender.send("three");
    drop(sender);
    assert_eq!(read(first).await.unwrap().0, "three");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_first_attempt_as_it_was() {
    for refused in [false, true] {
        let issuer = Issuer::of(seconds(300));
        let (mut client, mut handle) = client(&issuer, 100);
        let (sender, body) = channel();
        sender.send("one");
        let mut response = task::spawn(async { send(&mut client, post(body)).await });
        assert_pending!(response.poll());
        tokio::time::sleep(seconds(1)).await;
        assert_pending!(response.poll());
        let (first, reply) = handle.next_request().await.unwrap();
        let mut first = first.into_body();
        assert_eq!(next(&mut first).await, "one");
        if refused {
            issuer.lock().latency = seconds(5);
            reply.send_response(answer(401));
            assert_pending!(response.poll());
        }
        drop(response);
        sender.send("two");
        drop(sender);
        assert_eq!(read(first).await.unwrap().0, "two");
        tokio::time::sleep(seconds(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_sent_once_and_heals_the_next() {
    let issuer = Issuer::of(seconds(300));
    let (mut client, mut handle) = client(&issuer, 5);
    let (sender, body) = channel();
    sender.send("one");
    sender.send("two");
    drop(sender);
    let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        assert_eq!(read(first.into_body()).await.unwrap().0, "onetwo");
        let mut refusal = answer(401);
        *refusal.body_mut() = Body::from("original");
        reply.send_response(refusal);
    });
    let response = response.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(why(&response), Some(NotReplayed::Body)));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "original");
    let (response, ()) = tokio::join!(send(&mut client, post(full("x"))), async {
        let (request, reply) = handle.next_request().await.unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer t2");
        reply.send_response(answer(200));
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_401_before_the_limit_replays_a_body_over_it() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 3);
    let (sender, body) = channel();
    sender.send("one");
    sender.send("two");
    drop(sender);
    let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        next(&mut first.into_body()).await;
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        assert_eq!(read(second.into_body()).await.unwrap().0, "onetwo");
        reply.send_response(answer(200));
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_is_sent_once() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let (sender, body) = channel();
    sender.send("one");
    sender.frame(Err("disk full".into()));
    let (response, error) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        let error = read(first.into_body()).await.unwrap_err();
        reply.send_response(answer(401));
        error
    });
    assert_eq!(error.to_string(), "disk full");
    assert!(matches!(why(&response.unwrap()), Some(NotReplayed::Body)));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_the_second_attempt_meets_is_its_own() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let (sender, body) = channel();
    sender.send("one");
    let (response, error) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        next(&mut first.into_body()).await;
        reply.send_response(answer(401));
        let (second, reply) = handle.next_request().await.unwrap();
        sender.frame(Err("disk full".into()));
        let error = read(second.into_body()).await.unwrap_err();
        reply.send_error("sending failed");
        error
    });
    assert_eq!(error.to_string(), "disk full");
    assert_eq!(response.unwrap_err().to_string(), "sending failed");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_once_the_answer_is_there() {
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), 100);
    let (sender, body) = channel();
    let data = Bytes::from(vec![7; 50]);
    sender.send(data.clone());
    let (response, mut first) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        let mut first = first.into_body();
        assert_eq!(next(&mut first).await.as_ptr(), data.as_ptr());
        assert!(!data.is_unique());
        reply.send_response(answer(200));
        first
    });
    assert_eq!(response.unwrap().status(), 200);
    assert!(data.is_unique());
    sender.send(data.clone());
    next(&mut first).await;
    assert!(data.is_unique());
}

#[tokio::test(start_paused = true)]
async fn a_body_is_wrapped_only_if_it_is_to_be_kept_or_sent_again() {
    // At most three bytes are kept. How often a body is wrapped by the first attempt, and how
    // often by both.
    for (body, once, both) in [("", 0, 1), ("123", 1, 2), ("1234", 0, 0)] {
        let wrapped = Arc::new(AtomicUsize::new(0));
        let (inner, mut handle): (Mock, Handle) = mock::pair();
        let count = wrapped.clone();
        let mut client = BearerAuthLayer::new(Issuer::of(seconds(300)))
            .buffered(3, move |body| {
                count.fetch_add(1, Ordering::Relaxed);
                Boxed::new(body)
            })
            .layer(inner);
        let (response, ()) = tokio::join!(send(&mut client, post(full(body))), async {
            let (first, reply) = handle.next_request().await.unwrap();
            assert_eq!(wrapped.load(Ordering::Relaxed), once, "{body:?}");
            assert_eq!(read(first.into_body()).await.unwrap().0, body);
            reply.send_response(answer(401));
            if both > 0 {
                let (second, reply) = handle.next_request().await.unwrap();
                assert_eq!(read(second.into_body()).await.unwrap().0, body);
                reply.send_response(answer(200));
            }
        });
        assert_eq!(wrapped.load(Ordering::Relaxed), both, "{body:?}");
        let response = response.unwrap();
        assert_eq!(matches!(why(&response), Some(NotReplayed::Body)), both == 0, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_the_limit_is_kept_for_each_request() {
    const LIMIT: usize = 10_000;
    let (mut client, mut handle) = client(&Issuer::of(seconds(300)), LIMIT);
    for frame in [1, 999, 1000, 1001, LIMIT, LIMIT + 1] {
        let (sender, body) = channel();
        let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
            let (first, reply) = handle.next_request().await.unwrap();
            let mut first = first.into_body();
            let mut probes = Vec::new();
            for n in 0..2 * LIMIT / frame {
                let data = Bytes::from(vec![7; frame]);
                probes.push(data.slice(..));
                sender.send(data);
                next(&mut first).await;
                let sent = (n + 1) * frame;
                // One frame is like the other; the first and the last tell of all.
                let kept = !probes[0].is_unique() && !probes[n].is_unique();
                assert_eq!(kept, sent <= LIMIT, "{sent} bytes in frames of {frame}");
            }
            let all = probes.iter().filter(|data| !data.is_unique()).count();
            assert_eq!(all, 0, "frames of {frame}");
            reply.send_response(answer(200));
        });
        response.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_cloned_is_sent_once_more() {
    type Cloneable = Either<Full<Bytes>, Boxed>;

    for clone in [true, false] {
        let (inner, mut handle) = mock::pair::<Request<Cloneable>, Response<Body>>();
        let mut client = BearerAuthLayer::new(Issuer::of(seconds(300)))
            .try_clone(|body: &Cloneable| match body {
                Either::Left(full) => Some(Either::Left(full.clone())),
                Either::Right(_) => None,
            })
            .layer(inner);
        let body = match clone {
            true => Either::Left(Full::from("body")),
            false => Either::Right(full("body")),
        };
        let request = Request::post("https://api.example.com/").body(body).unwrap();
        let (response, ()) = tokio::join!(send(&mut client, request), async {
            let (first, reply) = handle.next_request().await.unwrap();
            let first = first.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(first, "body");
            reply.send_response(answer(401));
            if clone {
                let (second, reply) = handle.next_request().await.unwrap();
                let second = second.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(first, second);
                reply.send_response(answer(200));
            }
        });
        let response = response.unwrap();
        assert_eq!(response.status(), if clone { 200 } else { 401 });
        assert_eq!(matches!(why(&response), Some(NotReplayed::Body)), !clone);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_that_is_refused_at_once_is_sent_once_more() {
    let issuer = Issuer::of(seconds(300));
    let (inner, mut handle): (Mock, Handle) = mock::pair();
    let mut client = layer(&issuer, 100).rejected_when(rejection::grpc).layer(inner);
    let (sender, body) = channel();
    sender.send("message");
    let (response, ()) = tokio::join!(send(&mut client, post(body)), async {
        let (first, reply) = handle.next_request().await.unwrap();
        next(&mut first.into_body()).await;
        let mut refusal = answer(200);
        refusal.headers_mut().insert("grpc-status", "16".parse().unwrap());
        reply.send_response(refusal);
        let (second, reply) = handle.next_request().await.unwrap();
        assert_eq!(next(&mut second.into_body()).await, "message");
        reply.send_response(answer(200));
    });
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("grpc-status"));
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn a_response_future_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}

    let (mut client, _handle) = client(&Issuer::default(), 100);
    is_send(&client);
    let mut ready = task::spawn(client.ready());
    assert!(ready.poll().is_ready());
    drop(ready);
    is_send(&client.call(post(full("body"))));
}

/// Even if the caller holds on to the future.
#[tokio::test(start_paused = true)]
async fn what_was_kept_is_gone_once_the_answer_is_there() {
    for fails in [false, true] {
        let api = service_fn(move |request: Request<Arc<()>>| async move {
            drop(request);
            tokio::task::yield_now().await;
            if fails { Err(BoxError::from("broken")) } else { Ok(Response::new(())) }
        });
        let mut client = BearerAuthLayer::new(Issuer::of(seconds(300))).layer(api);
        for way in ["after a fetch", "at once"] {
            let body = Arc::new(());
            let request = Request::get("https://api.example.com/").body(body.clone()).unwrap();
            let mut future = std::pin::pin!(client.call(request));
            assert_eq!(Arc::strong_count(&body), 3, "{way}");
            assert_eq!((&mut future).await.is_err(), fails, "{way}");
            assert_eq!(Arc::strong_count(&body), 1, "{way}");
        }
    }
}
