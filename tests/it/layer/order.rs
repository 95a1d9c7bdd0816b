//! What the layers around it see, and what changes when they change places.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION},
};
use tower::{Layer, ServiceBuilder, retry::Policy};
use tower_bearer::BearerAuthLayer;

use crate::support::*;

const URI: &str = "https://api.example.com/";

fn layer(issuer: &Issuer) -> BearerAuthLayer {
    BearerAuthLayer::new(issuer.clone())
}

/// What a layer like tower-http's `Trace` gets to see of requests and responses.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn request(&self) -> impl Fn(Request<Body>) -> Request<Body> + Clone + use<> {
        let log = self.clone();
        move |request| {
            log.0.lock().unwrap().push(format!("{:?}", request.headers().get(AUTHORIZATION)));
            request
        }
    }

    fn response(&self) -> impl Fn(Response<Body>) -> Response<Body> + Clone + use<> {
        let log = self.clone();
        move |response| {
            log.0.lock().unwrap().push(response.status().as_u16().to_string());
            response
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_inside_sees_each_attempt_and_no_token_in_clear() {
    let (issuer, log) = (Issuer::of(seconds(300)), Log::default());
    let mut client = ServiceBuilder::new()
        .layer(layer(&issuer))
        .map_request(log.request())
        .map_response(log.response())
        .service(Api::of(&issuer));
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke_all();
    log.take();
    send(&mut client, get(URI)).await.unwrap();
    assert_eq!(log.take(), ["Some(Sensitive)", "401", "Some(Sensitive)", "200"]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_outside_sees_a_request_and_its_last_answer() {
    let (issuer, log) = (Issuer::of(seconds(300)), Log::default());
    let mut client = ServiceBuilder::new()
        .map_request(log.request())
        .map_response(log.response())
        .layer(layer(&issuer))
        .service(Api::of(&issuer));
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke_all();
    log.take();
    send(&mut client, get(URI)).await.unwrap();
    assert_eq!(log.take(), ["None", "200"]);
}

/// Sends a request once more, whatever is wrong with the answer.
#[derive(Clone)]
struct Once(bool);

impl<E> Policy<Request<Body>, Response<Body>, E> for Once {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, E>,
    ) -> Option<Ready<()>> {
        let failed = !result.as_ref().is_ok_and(|response| response.status().is_success());
        (failed && std::mem::take(&mut self.0)).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_inside_sends_the_refused_token_again() {
    let issuer = Issuer::of(seconds(300));
    let api = Api::of(&issuer);
    let mut client =
        ServiceBuilder::new().layer(layer(&issuer)).retry(Once(true)).service(api.clone());
    send(&mut client, get(URI)).await.unwrap();
    issuer.revoke_all();
    let response = send(&mut client, get(URI)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(api.seen(), ["t1", "t1", "t1", "t2"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_begins_with_the_token_of_that_time() {
    let issuer = Issuer::of(seconds(300));
    issuer.trouble(Trouble::Down);
    let api = Api::of(&issuer);
    #[derive(Clone)]
    struct Later(Issuer);
    impl<Res, E> Policy<Request<Body>, Res, E> for Later {
        type Future = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
        fn retry(
            &mut self,
            _: &mut Request<Body>,
            result: &mut Result<Res, E>,
        ) -> Option<Self::Future> {
            let issuer = self.0.clone();
            result.is_err().then(|| {
                Box::pin(async move {
                    issuer.trouble(None);
                    tokio::time::sleep(seconds(2)).await;
                }) as Self::Future
            })
        }
        fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
            Some(request.clone())
        }
    }
    let mut client = ServiceBuilder::new()
        .retry(Later(issuer.clone()))
        .layer(layer(&issuer))
        .service(api.clone());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.seen(), ["t1"]);
}

#[tokio::test(start_paused = true)]
async fn header_and_body_layers_work_on_either_side() {
    let accept = |mut request: Request<Body>| {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        request
    };
    let (issuer, seen) = (Issuer::of(seconds(300)), Arc::new(Mutex::new(0)));
    let api = ServiceBuilder::new()
        .map_request({
            let seen = seen.clone();
            move |request: Request<Body>| {
                assert_eq!(request.headers().get_all(ACCEPT_ENCODING).iter().count(), 1);
                *seen.lock().unwrap() += 1;
                request
            }
        })
        .service(Api::of(&issuer));
    let decoded = |response: Response<Body>| response.map(|_| "another type of body");

    let inner =
        ServiceBuilder::new().map_request(accept).map_response(decoded).service(api.clone());
    let mut inside = layer(&issuer).layer(inner);
    let mut outside = ServiceBuilder::new()
        .map_request(accept)
        .map_response(decoded)
        .layer(layer(&issuer))
        .service(api);
    for _ in 0..2 {
        assert_eq!(send(&mut inside, get(URI)).await.unwrap().status(), StatusCode::OK);
        assert_eq!(send(&mut outside, get(URI)).await.unwrap().status(), StatusCode::OK);
        issuer.revoke_all();
    }
    assert_eq!(*seen.lock().unwrap(), 6, "four requests, and one second attempt for each client");
}
