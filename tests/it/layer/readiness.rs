//! Among other layers: what is ready is called, what is not needed is given back, nothing waits
//! for itself.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{Request, StatusCode};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    buffer::Buffer,
    limit::{ConcurrencyLimit, RateLimit, rate::Rate},
    load::Constant,
    load_shed::{LoadShed, error::Overloaded},
    timeout::{Timeout, error::Elapsed},
    util::{BoxCloneService, BoxCloneSyncService},
};
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCache, fetch_fn};
use tower_test::mock;

use crate::support::*;

const URI: &str = "https://api.example.com/";

type Mock = mock::Mock<Request<Body>, http::Response<Body>>;
type Handle = mock::Handle<Request<Body>, http::Response<Body>>;

/// Whatever is under test, all is over in a minute or it hangs.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(seconds(60), future).await.expect("a deadlock")
}

fn layer(issuer: &Issuer) -> BearerAuthLayer {
    BearerAuthLayer::new(issuer.clone())
}

async fn status<S>(client: &mut S) -> StatusCode
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error: Into<BoxError>>,
{
    soon(send(client, get(URI))).await.map_err(Into::into).unwrap().status()
}

/// A first request, a revocation and a second one, as the client of this layer sees them.
async fn heals<S>(issuer: &Issuer, client: &mut S)
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error: Into<BoxError>>,
{
    assert_eq!(status(client).await, StatusCode::OK);
    issuer.revoke_all();
    assert_eq!(status(client).await, StatusCode::OK);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_that_the_fetcher_shares_is_no_deadlock() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let limited = ConcurrencyLimit::new(Api::of(&issuer), 1);
    let tokens = TokenCache::new(fetch_fn({
        let (limited, issuer) = (limited.clone(), issuer.clone());
        move |context| {
            let (limited, issuer) = (limited.clone(), issuer.clone());
            async move {
                // The token endpoint is reached through the same client.
                limited.oneshot(get("https://issuer.example.com/token")).await?;
                let token = tower_bearer::TokenFetcher::fetch(&issuer, context).await?;
                Ok::<Token, BoxError>(token)
            }
        }
    }));
    let mut client = BearerAuthLayer::new(tokens).layer(limited);
    heals(&issuer, &mut client).await;
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_a_limit_of_one_with_the_fetcher() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let limited = ConcurrencyLimit::new(Api::of(&issuer), 1);
    let tokens = TokenCache::new(fetch_fn({
        let (limited, issuer) = (limited.clone(), issuer.clone());
        move |context| {
            let (limited, issuer) = (limited.clone(), issuer.clone());
            async move {
                limited.oneshot(get("https://issuer.example.com/token")).await?;
                Ok::<_, BoxError>(tower_bearer::TokenFetcher::fetch(&issuer, context).await?)
            }
        }
    }));
    let client = BearerAuthLayer::new(tokens).layer(limited);
    let callers: Vec<_> = (0..20)
        .map(|n| {
            let (mut client, issuer) = (client.clone(), issuer.clone());
            tokio::spawn(async move {
                if n == 10 {
                    issuer.revoke_all();
                }
                status(&mut client).await
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(soon(caller).await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_outside_shared_with_the_fetcher_times_the_fetch_out() {
    let issuer = Issuer::of(seconds(300));
    let one = Arc::new(tokio::sync::Semaphore::new(1));
    let shared = ConcurrencyLimit::with_semaphore(Api::of(&issuer), one.clone());
    let tokens = TokenCache::new(fetch_fn(move |_| {
        let shared = shared.clone();
        async move {
            shared.oneshot(get("https://issuer.example.com/token")).await?;
            Ok::<_, BoxError>(Token::bearer("t1")?)
        }
    }));
    let client = BearerAuthLayer::new(tokens).layer(Api::of(&issuer));
    let mut client = ConcurrencyLimit::with_semaphore(client, one);
    let error = soon(send(&mut client, get(URI))).await.unwrap_err();
    assert!(error.downcast_ref::<tower_bearer::TokenError>().unwrap().is_timeout(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_buffer_outside_keeps_its_worker_free_during_a_fetch() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let mut client = Buffer::new(layer(&issuer).layer(Api::of(&issuer)), 1);
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { status(&mut client).await });
    tokio::time::sleep(seconds(1)).await;
    let mut request = get(URI);
    request.extensions_mut().insert(tower_bearer::Anonymous);
    let other = tokio::time::timeout(seconds(1), send(&mut other, request)).await;
    assert!(other.is_ok(), "the buffer stood still");
    assert_eq!(soon(waiting).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_inside_has_its_slot_free_while_a_token_is_fetched() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let buffer = Buffer::new(Api::of(&issuer), 1);
    let mut other = buffer.clone();
    let client = layer(&issuer).layer(buffer);
    let waiting = tokio::spawn(client.oneshot(get(URI)));
    tokio::time::sleep(seconds(1)).await;
    let other = tokio::time::timeout(seconds(1), send(&mut other, get(URI))).await;
    assert!(other.is_ok(), "the slot was held");
    assert_eq!(soon(waiting).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn through_buffers_on_both_sides_a_revocation_heals() {
    let issuer = Issuer::of(seconds(300));
    let inner = Buffer::new(Api::of(&issuer), 1);
    let mut client = Buffer::new(layer(&issuer).layer(inner), 1);
    heals(&issuer, &mut client).await;
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_sheds_at_the_limit_and_not_during_a_fetch() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let limited = ConcurrencyLimit::new(Api::of(&issuer).latency(seconds(5)), 1);
    let client = LoadShed::new(layer(&issuer).layer(limited));
    let (mut first, mut second, mut third) = (client.clone(), client.clone(), client);
    // Both wait for the token: neither holds the permit, so neither is shed.
    let first = tokio::spawn(async move { send(&mut first, get(URI)).await });
    let second = tokio::spawn(async move { send(&mut second, get(URI)).await });
    tokio::time::sleep(seconds(6)).await;
    // The token has come, one of them has the permit.
    let error = soon(send(&mut third, get(URI))).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error:?}");
    assert_eq!(soon(first).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(soon(second).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn load_shed_inside_sheds_an_attempt_whose_token_came_late() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let limited = ConcurrencyLimit::new(Api::of(&issuer).latency(seconds(5)), 1);
    let client = layer(&issuer).layer(LoadShed::new(limited));
    let (mut first, mut second) = (client.clone(), client);
    let (first, second) = tokio::join!(send(&mut first, get(URI)), send(&mut second, get(URI)));
    let (answered, shed): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((answered.len(), shed.len()), (1, 1));
    assert!(shed.into_iter().all(|result| result.unwrap_err().is::<Overloaded>()));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_inside_counts_attempts_and_outside_requests() {
    let issuer = Issuer::of(seconds(300));
    let limited = RateLimit::new(Api::of(&issuer), Rate::new(1, seconds(10)));
    // `RateLimit` is not `Clone`: a buffer makes it so.
    let mut client = layer(&issuer).layer(Buffer::new(limited, 8));
    let started = tokio::time::Instant::now();
    heals(&issuer, &mut client).await;
    assert_eq!(started.elapsed().as_secs(), 20, "three attempts, ten seconds apart");

    let issuer = Issuer::of(seconds(300));
    let client = layer(&issuer).layer(Api::of(&issuer));
    let mut client = RateLimit::new(client, Rate::new(1, seconds(10)));
    let started = tokio::time::Instant::now();
    heals(&issuer, &mut client).await;
    assert_eq!(started.elapsed().as_secs(), 10, "two requests, ten seconds apart");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_covers_the_wait_and_does_not_end_the_fetch() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let mut client = Timeout::new(layer(&issuer).layer(Api::of(&issuer)), seconds(3));
    let error = send(&mut client, get(URI)).await.unwrap_err();
    assert!(error.is::<Elapsed>());
    // The fetch went on: its token is here two seconds later.
    assert_eq!(status(&mut client).await, StatusCode::OK);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_covers_each_attempt_and_no_wait() {
    let issuer = Issuer::of(seconds(300)).latency(seconds(5));
    let api = Api::of(&issuer).latency(seconds(2));
    let mut client = layer(&issuer).layer(Timeout::new(api, seconds(3)));
    heals(&issuer, &mut client).await;

    let issuer = Issuer::of(seconds(300));
    let api = Api::of(&issuer).latency(seconds(4));
    let mut client = layer(&issuer).layer(Timeout::new(api, seconds(3)));
    let error = send(&mut client, get(URI)).await.unwrap_err();
    assert!(error.is::<Elapsed>());
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_has_a_token_for_each_attempt() {
    #[derive(Clone)]
    struct Once(usize);
    impl tower::retry::Policy<Request<Body>, http::Response<Body>, BoxError> for Once {
        type Future = std::future::Ready<()>;
        fn retry(
            &mut self,
            _: &mut Request<Body>,
            result: &mut Result<http::Response<Body>, BoxError>,
        ) -> Option<Self::Future> {
            let again = self.0 > 0 && !result.as_ref().is_ok_and(|r| r.status().is_success());
            self.0 = self.0.saturating_sub(1);
            again.then(|| std::future::ready(()))
        }
        fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
            Some(request.clone())
        }
    }
    let (inner, mut handle): (Mock, Handle) = mock::pair();
    let issuer = Issuer::of(seconds(300));
    let mut client =
        ServiceBuilder::new().retry(Once(1)).layer(layer(&issuer)).service(Buffer::new(inner, 1));
    let (response, ()) = tokio::join!(soon(send(&mut client, get(URI))), async {
        for status in [503, 200] {
            let (request, reply) = handle.next_request().await.unwrap();
            assert_eq!(request.headers()["authorization"], "Bearer t1");
            reply.send_response(answer(status));
        }
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_balanced_client_is_called_where_it_is_ready() {
    let issuer = Issuer::of(seconds(300));
    let (one, two) = (Api::of(&issuer), Api::of(&issuer));
    let discover = tower::discover::ServiceList::new(
        [one.clone(), two.clone()].map(|api| Constant::new(api, 0)),
    );
    // `Balance` is not `Clone` either.
    let balance = Buffer::new(Balance::new(discover), 8);
    let mut client = layer(&issuer).layer(balance);
    heals(&issuer, &mut client).await;
    assert_eq!(one.seen().len() + two.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_layer_around_each_balanced_service_shares_one_cache() {
    let issuer = Issuer::of(seconds(300));
    let layer = layer(&issuer);
    let apis = [Api::of(&issuer), Api::of(&issuer)];
    let services = apis.clone().map(|api| Constant::new(layer.layer(api), 0));
    let mut client = Balance::new(tower::discover::ServiceList::new(services));
    for _ in 0..10 {
        assert_eq!(status(&mut client).await, StatusCode::OK);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn boxed_on_either_side_a_revocation_heals() {
    let issuer = Issuer::of(seconds(300));
    let boxed = BoxCloneService::new(ConcurrencyLimit::new(Api::of(&issuer), 1));
    let mut client = BoxCloneService::new(layer(&issuer).layer(boxed));
    heals(&issuer, &mut client).await;

    let issuer = Issuer::of(seconds(300));
    let boxed = BoxCloneSyncService::new(ConcurrencyLimit::new(Api::of(&issuer), 1));
    let mut client = BoxCloneSyncService::new(layer(&issuer).layer(boxed));
    heals(&issuer, &mut client).await;
}

/// Counts what is ready; a call without readiness panics, as that of `mock` does.
struct Strict {
    api: Api,
    ready: bool,
    wasted: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { api: self.api.clone(), ready: false, wasted: self.wasted.clone() }
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.wasted.fetch_add(usize::from(self.ready), Ordering::Relaxed);
    }
}

impl Service<Request<Body>> for Strict {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = <Api as Service<Request<Body>>>::Future;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        self.api.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_made_by_an_instance_that_was_readied_for_it() {
    let issuer = Issuer::of(seconds(300));
    let wasted = Arc::new(AtomicUsize::new(0));
    let strict = Strict { api: Api::of(&issuer), ready: false, wasted: wasted.clone() };
    let mut client = layer(&issuer).layer(strict);
    for n in 0..20 {
        if n % 5 == 0 {
            issuer.revoke_all();
        }
        assert_eq!(status(&mut client).await, StatusCode::OK);
    }
    drop(client);
    assert_eq!(wasted.load(Ordering::Relaxed), 1, "the first call alone had to wait for a token");
}
