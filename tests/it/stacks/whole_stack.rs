//! All layers that the guide places, in the order that it gives, around hyper-util's client.

use std::future::{Ready, ready};

use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_ENCODING, LOCATION},
};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{
    Service, ServiceBuilder, ServiceExt, balance::p2c::Balance, discover::ServiceList,
    load::Constant, retry::Policy, util::BoxCloneSyncService,
};
use tower_bearer::{
    BearerAuthLayer, BoxError,
    testing::{Answer, ProtectedApi},
};
use tower_http::{
    decompression::DecompressionLayer, follow_redirect::FollowRedirectLayer, trace::TraceLayer,
};

use super::World;
use crate::support::{Boxed, channel, seconds};

/// `an order`.
const GZIPPED: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0xcc, 0x53, 0xc8, 0x2f, 0x4a,
    0x49, 0x2d, 0x02, 0x00, 0x47, 0x29, 0x4d, 0x96, 0x08, 0x00, 0x00, 0x00,
];

type Stack = BoxCloneSyncService<Request<Boxed>, Response<Boxed>, BoxError>;

/// Tries a request without a body again, if the server has trouble.
#[derive(Clone)]
struct Again(usize);

impl<B> Policy<Request<Boxed>, Response<B>, BoxError> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Boxed>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Self::Future> {
        let trouble = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        self.0 = self.0.checked_sub(1).filter(|_| trouble)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<Boxed>) -> Option<Request<Boxed>> {
        if !request.body().is_end_stream() {
            return None;
        }
        let mut copy = get(request.uri().to_string());
        *copy.method_mut() = request.method().clone();
        *copy.headers_mut() = request.headers().clone();
        Some(copy)
    }
}

fn stack(world: &World) -> Stack {
    let http = Client::builder(TokioExecutor::new()).build_http::<Boxed>();
    let endpoints = [http.clone(), http].map(|http| Constant::new(http, 0));
    let layer = BearerAuthLayer::new(world.tokens()).only_for([world.api.url("")]).unwrap();
    let stack = ServiceBuilder::new()
        .buffer(64)
        .timeout(seconds(30))
        .retry(Again(2))
        .layer(FollowRedirectLayer::new())
        .layer(DecompressionLayer::new())
        .layer(layer.buffered(64 * 1024, Boxed::new))
        .concurrency_limit(4)
        .layer(TraceLayer::new_for_http())
        .buffer(16)
        .service(Balance::new(ServiceList::new::<Request<Boxed>>(endpoints)));
    let stack = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(Boxed::new))
        .service(stack);
    BoxCloneSyncService::new(stack)
}

fn get(url: String) -> Request<Boxed> {
    Request::get(url).body(Boxed::default()).unwrap()
}

async fn send(stack: &mut Stack, request: Request<Boxed>) -> (StatusCode, Bytes) {
    let response = stack.ready().await.unwrap().call(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_401_is_healed_by_one_replay_of_a_stream_through_all_layers() {
    let world = World::new().await;
    let mut stack = stack(&world);
    assert_eq!(send(&mut stack, get(world.api.url("/"))).await.0, StatusCode::OK);
    world.issuer.revoke_all();

    let (sender, body) = channel();
    sender.send("one");
    sender.send("two");
    drop(sender);
    let request = Request::post(world.api.url("/orders")).body(body).unwrap();
    assert_eq!(send(&mut stack, request).await, (StatusCode::OK, "onetwo".into()));

    assert_eq!(world.bodies(), ["", "onetwo", "onetwo"]);
    let arrived = world.api.requests();
    assert_eq!(arrived[0].bearer(), arrived[1].bearer());
    assert_ne!(arrived[1].bearer(), arrived[2].bearer());
    assert_eq!(world.issuer.requests().len(), 2);
}

#[tokio::test]
async fn no_token_goes_to_another_origin_through_all_layers() {
    let world = World::new().await;
    let other = ProtectedApi::start(&world.issuer).await.unwrap();
    let mut stack = stack(&world);
    let elsewhere = other.url("/elsewhere").parse().unwrap();
    world.api.answer_next(Answer::status(StatusCode::FOUND).header(LOCATION, elsewhere));
    let (status, _) = send(&mut stack, get(world.api.url("/"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(world.api.requests()[0].bearer().is_some());
    assert!(other.requests()[0].headers.get("authorization").is_none());
    assert_eq!((other.requests().len(), world.issuer.requests().len()), (1, 1));
}

#[tokio::test]
async fn retry_and_decompression_do_their_work_beside_the_layer() {
    let world = World::new().await;
    let mut stack = stack(&world);
    world.api.answer_next(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    let gzip = Answer::status(StatusCode::OK).header(CONTENT_ENCODING, "gzip".parse().unwrap());
    world.api.answer_next(gzip.body(Bytes::from_static(&GZIPPED)));
    let answer = send(&mut stack, get(world.api.url("/"))).await;
    assert_eq!(answer, (StatusCode::OK, "an order".into()));
    assert_eq!((world.api.requests().len(), world.issuer.requests().len()), (2, 1));
}

#[tokio::test]
async fn many_tasks_share_the_stack_and_the_renewal() {
    let world = World::new().await;
    let stack = stack(&world);
    send(&mut stack.clone(), get(world.api.url("/"))).await;
    world.issuer.revoke_all();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (mut stack, request) = (stack.clone(), get(world.api.url("/")));
            tokio::spawn(async move { send(&mut stack, request).await.0 })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(world.issuer.requests().len(), 2);
}
