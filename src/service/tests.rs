use std::{
    collections::HashSet,
    future::{Ready, ready},
    pin::pin,
    sync::{Barrier, mpsc},
    task::Waker,
    thread,
    time::Duration,
};

use http::header::AUTHORIZATION;
use tower_layer::Layer;

use super::*;
use crate::{cache::TokenCache, fetcher::fetch_fn, layer::BearerAuthLayer, token::Token};

/// Answers with the address of the header's value, which lies beside its reference count.
#[derive(Clone)]
struct Address;

impl Service<Request<()>> for Address {
    type Response = Response<usize>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(Response::new(request.headers()[AUTHORIZATION].as_bytes().as_ptr().addr())))
    }
}

fn cached() -> TokenCache {
    let tokens = TokenCache::new(fetch_fn(async |_| {
        Ok::<_, BoxError>(Token::bearer("mF_9.B5f-4.1JqM")?.expires_in(Duration::MAX))
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokens.token()).unwrap();
    // The first hit settles the token, under the lock.
    tokens.at_once(|_| ()).unwrap();
    tokens
}

fn request() -> Request<()> {
    Request::get("https://api.example.com/orders").body(()).unwrap()
}

fn answer<F>(future: F) -> usize
where
    F: Future<Output = Result<Response<usize>, BoxError>>,
{
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap().into_body(),
        Poll::Pending => panic!("a hit does not wait"),
    }
}

#[test]
fn a_hit_takes_no_lock() {
    let tokens = cached();
    let layer = BearerAuthLayer::new(tokens.clone());
    let locked = tokens.lock();
    let (done, hits) = mpsc::channel();
    thread::spawn(move || {
        answer(layer.layer(Address).call(request()));
        answer(layer.no_replay().layer(Address).call(request()));
        done.send(()).unwrap();
    });
    hits.recv_timeout(Duration::from_secs(10)).expect("hits that do not wait for the lock");
    drop(locked);
}

#[test]
fn hits_of_different_threads_share_no_reference_count() {
    const THREADS: usize = 64;
    let tokens = cached();
    let token = tokens.peek().unwrap();
    let service = BearerAuthLayer::new(tokens).layer(Address);
    let of_layer = Arc::strong_count(&service.settings);
    let of_token = token.references();

    let services: Vec<_> = (0..THREADS).map(|_| service.clone()).collect();
    let together = Barrier::new(THREADS);
    let touched: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = services
            .into_iter()
            .map(|mut service| {
                let together = &together;
                scope.spawn(move || {
                    let under_way = service.call(request());
                    let own = Arc::as_ptr(service.settings.of_this_thread()).addr();
                    together.wait();
                    // All of them are under way now, and none has a reference to what all share.
                    let of_layer = Arc::strong_count(&service.settings);
                    together.wait();
                    (answer(under_way), own, of_layer)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    assert!(touched.iter().all(|(.., count)| *count == of_layer + THREADS));
    assert_eq!(token.references(), of_token);
    let values: HashSet<_> = touched.iter().map(|(value, ..)| *value).collect();
    let settings: HashSet<_> = touched.iter().map(|(_, settings, _)| *settings).collect();
    assert!(values.len() >= 4, "{THREADS} threads, {} values", values.len());
    assert_eq!(values.len(), settings.len());
    assert!(values.iter().all(|value| *value != token.original().as_bytes().as_ptr().addr()));
}

#[test]
fn a_request_that_has_no_room_for_a_token_is_an_error() {
    let mut service = BearerAuthLayer::new(cached()).layer(Address);
    let mut answer_with = |headers: usize| {
        let mut request = request();
        for n in 0..headers {
            let name: http::HeaderName = format!("x-{n}").parse().unwrap();
            request.headers_mut().append(name, http::HeaderValue::from_static("1"));
        }
        pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()))
    };
    assert!(matches!(answer_with(24_000), Poll::Ready(Ok(_))));
    // As many as a `HeaderMap` takes.
    let Poll::Ready(Err(error)) = answer_with(24_576) else { panic!("no error") };
    assert!(error.downcast_ref::<TokenError>().unwrap().is_config());
}
