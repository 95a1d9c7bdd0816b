use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::uri::PathAndQuery;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    server::{ClientStreamingService, NamedService, StreamingService},
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{
        HealthCheckRequest, HealthCheckResponse, health_check_response, health_client::HealthClient,
    },
    server::HealthReporter,
};
use tonic_prost::ProstCodec;
use tower::{Layer, Service};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, ClientCredentials, TokenError, rejection,
    replay::{Buffered, ReplayBody},
    testing::{Answer, AuthorizationServer},
};

use super::http;

/// The type of a stored client can be written down.
type Authorized = BearerAuth<Channel, Buffered<fn(ReplayBody<Body>) -> Body>>;

/// A gRPC server whose interceptor wants a token.
struct Health {
    issuer: Arc<AuthorizationServer>,
    calls: Arc<std::sync::Mutex<Vec<Code>>>,
    /// The `grpc-timeout` of each call that has one.
    deadlines: Arc<std::sync::Mutex<Vec<String>>>,
    reporter: HealthReporter,
    channel: Channel,
}

impl Health {
    async fn start() -> Self {
        let issuer = Arc::new(AuthorizationServer::start().await.unwrap());
        let calls = Arc::<std::sync::Mutex<Vec<Code>>>::default();
        let deadlines = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let (reporter, service) = tonic_health::server::health_reporter();
        let check = {
            let (issuer, calls, deadlines) = (issuer.clone(), calls.clone(), deadlines.clone());
            move |request: Request<()>| {
                let token = request.metadata().get("authorization");
                let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                let good = token.is_some_and(|token| issuer.is_active(token));
                let deadline = request.metadata().get("grpc-timeout");
                deadlines.lock().unwrap().extend(deadline.map(|d| d.to_str().unwrap().to_owned()));
                calls.lock().unwrap().push(if good { Code::Ok } else { Code::Unauthenticated });
                if good { Ok(request) } else { Err(Status::unauthenticated("no token")) }
            }
        };
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let server = Server::builder()
            .add_service(InterceptedService::new(service, check.clone()))
            .add_service(InterceptedService::new(Echo, check));
        tokio::spawn(server.serve_with_incoming(incoming));
        let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
        Self { issuer, calls, deadlines, reporter, channel }
    }

    fn layer(&self) -> BearerAuthLayer {
        let tokens =
            ClientCredentials::builder(http(), self.issuer.token_endpoint(), "id", "s3cr3t");
        BearerAuthLayer::new(tokens.build().unwrap()).rejected_when(rejection::grpc)
    }

    fn client(&self) -> HealthClient<Authorized> {
        let wrap: fn(ReplayBody<Body>) -> Body = Body::new;
        HealthClient::new(self.layer().buffered(64 * 1024, wrap).layer(self.channel.clone()))
    }

    /// What is under a generated client, for the calls that the health service does not have.
    fn grpc(&self) -> Grpc<Authorized> {
        let wrap: fn(ReplayBody<Body>) -> Body = Body::new;
        Grpc::new(self.layer().buffered(64 * 1024, wrap).layer(self.channel.clone()))
    }

    fn calls(&self) -> Vec<Code> {
        self.calls.lock().unwrap().clone()
    }
}

/// A service with a client stream, `Collect`, and one with streams both ways, `Chat`.
#[derive(Clone)]
struct Echo;

type Codec = ProstCodec<HealthCheckResponse, HealthCheckRequest>;

impl NamedService for Echo {
    const NAME: &'static str = "it.Echo";
}

impl Service<::http::Request<Body>> for Echo {
    type Response = ::http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ::http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Codec::default());
            Ok(match request.uri().path() {
                "/it.Echo/Collect" => grpc.client_streaming(Echo, request).await,
                _ => grpc.streaming(Echo, request).await,
            })
        })
    }
}

/// Answers with the number of messages.
impl ClientStreamingService<HealthCheckRequest> for Echo {
    type Response = HealthCheckResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::Response>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<HealthCheckRequest>>) -> Self::Future {
        let mut messages = request.into_inner();
        Box::pin(async move {
            let mut status = 0;
            while messages.message().await?.is_some() {
                status += 1;
            }
            Ok(Response::new(HealthCheckResponse { status }))
        })
    }
}

/// Answers each message with its length.
impl StreamingService<HealthCheckRequest> for Echo {
    type Response = HealthCheckResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<HealthCheckRequest>>) -> Self::Future {
        let length = |message: HealthCheckRequest| HealthCheckResponse {
            status: message.service.len() as i32,
        };
        ready(Ok(Response::new(Box::pin(
            request.into_inner().map(move |message| message.map(length)),
        ))))
    }
}

fn message(length: usize) -> HealthCheckRequest {
    HealthCheckRequest { service: "x".repeat(length) }
}

fn request() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn an_unauthenticated_unary_call_is_made_once_more() {
    let health = Health::start().await;
    let mut client = health.client();
    for _ in 0..2 {
        let response = client.check(request()).await.unwrap().into_inner();
        assert_eq!(response.status(), health_check_response::ServingStatus::Serving);
        health.issuer.revoke_all();
    }
    assert_eq!(health.calls(), [Code::Ok, Code::Unauthenticated, Code::Ok]);
    assert_eq!(health.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_message_over_the_limit_is_sent_once_and_heals_the_next() {
    let health = Health::start().await;
    let mut client =
        HealthClient::new(health.layer().buffered(1024, Body::new).layer(health.channel.clone()));
    client.check(request()).await.unwrap();
    health.issuer.revoke_all();
    let large = HealthCheckRequest { service: "x".repeat(4096) };
    let status = client.check(large).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    client.check(request()).await.unwrap();
    assert_eq!(health.calls(), [Code::Ok, Code::Unauthenticated, Code::Ok]);
}

#[tokio::test]
async fn without_replay_the_status_is_returned_and_heals_the_next() {
    let health = Health::start().await;
    let mut client = HealthClient::new(health.layer().no_replay().layer(health.channel.clone()));
    client.check(request()).await.unwrap();
    health.issuer.revoke_all();
    assert_eq!(client.check(request()).await.unwrap_err().code(), Code::Unauthenticated);
    client.check(request()).await.unwrap();
    assert_eq!(health.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_outlives_its_token_and_the_next_has_another() {
    let health = Health::start().await;
    let mut client = health.client();
    let mut watch = client.watch(request()).await.unwrap().into_inner();
    let serving = watch.next().await.unwrap().unwrap().status();
    assert_eq!(serving, health_check_response::ServingStatus::Serving);

    health.issuer.revoke_all();
    health.reporter.set_service_status("", ServingStatus::NotServing).await;
    let not_serving = watch.next().await.unwrap().unwrap().status();
    assert_eq!(not_serving, health_check_response::ServingStatus::NotServing);
    assert_eq!(health.calls(), [Code::Ok]);

    let mut second = client.watch(request()).await.unwrap().into_inner();
    assert_eq!(second.next().await.unwrap().unwrap().status(), not_serving);
    assert_eq!(health.calls(), [Code::Ok, Code::Unauthenticated, Code::Ok]);
}

#[tokio::test]
async fn a_call_rejected_while_it_streams_is_made_once_more() {
    let health = Health::start().await;
    health.client().check(request()).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(
        health.layer().buffered(64 * 1024, Body::new).layer(health.channel.clone()),
    );
    grpc.ready().await.unwrap();
    let (messages, receiver) = tokio::sync::mpsc::channel(1);
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let path = ::http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
    grpc.streaming(Request::new(tokio_stream::iter([request()])), path.clone(), codec.clone())
        .await
        .unwrap();

    health.issuer.revoke_all();
    let stream = ReceiverStream::new(receiver);
    let call = tokio::spawn(async move {
        grpc.ready().await.unwrap();
        grpc.streaming(Request::new(stream), path, codec).await
    });
    messages.send(request()).await.unwrap();
    // The refusal comes while the server would still take messages.
    while health.calls().last() != Some(&Code::Ok) || health.calls().len() < 4 {
        tokio::task::yield_now().await;
    }
    drop(messages);
    let mut answer = call.await.unwrap().unwrap().into_inner();
    let serving = answer.next().await.unwrap().unwrap().status();
    assert_eq!(serving, health_check_response::ServingStatus::Serving);
    assert_eq!(health.calls()[1..], [Code::Ok, Code::Unauthenticated, Code::Ok]);
}

#[tokio::test]
async fn a_rejected_client_stream_is_resent_from_its_first_message() {
    let health = Health::start().await;
    let mut grpc = health.grpc();
    let path = PathAndQuery::from_static("/it.Echo/Collect");
    for _ in 0..2 {
        grpc.ready().await.unwrap();
        let messages = Request::new(tokio_stream::iter((0..5).map(message)));
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let answer = grpc.client_streaming(messages, path.clone(), codec).await.unwrap();
        assert_eq!(answer.into_inner().status, 5);
        health.issuer.revoke_all();
    }
    assert_eq!(health.calls(), [Code::Ok, Code::Unauthenticated, Code::Ok]);
}

#[tokio::test]
async fn streams_both_ways_are_begun_once_more_and_go_on_in_turns() {
    let health = Health::start().await;
    let mut grpc = health.grpc();
    let path = PathAndQuery::from_static("/it.Echo/Chat");
    for _ in 0..2 {
        grpc.ready().await.unwrap();
        let (messages, receiver) = tokio::sync::mpsc::channel(1);
        messages.send(message(1)).await.unwrap();
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let stream = Request::new(ReceiverStream::new(receiver));
        let call = grpc.streaming(stream, path.clone(), codec).await;
        let mut answers = call.unwrap().into_inner();
        assert_eq!(answers.next().await.unwrap().unwrap().status, 1);
        // The call goes on without the token that it began with.
        health.issuer.revoke_all();
        for length in 2..5 {
            messages.send(message(length)).await.unwrap();
            assert_eq!(answers.next().await.unwrap().unwrap().status, length as i32);
        }
        drop(messages);
        assert!(answers.next().await.is_none());
    }
    assert_eq!(health.calls(), [Code::Ok, Code::Unauthenticated, Code::Ok]);
}

#[tokio::test]
async fn the_deadline_of_a_call_goes_with_each_attempt() {
    let health = Health::start().await;
    let mut client = health.client();
    client.check(request()).await.unwrap();
    health.issuer.revoke_all();
    let mut timed = Request::new(request());
    timed.set_timeout(std::time::Duration::from_secs(30));
    client.check(timed).await.unwrap();
    assert_eq!(*health.deadlines.lock().unwrap(), ["30000000u", "30000000u"]);
}

/// The client of a struct, with its type written out.
#[tokio::test]
async fn a_generated_client_is_stored_in_a_struct() {
    #[derive(Clone)]
    struct Checks {
        health: HealthClient<Authorized>,
    }

    impl Checks {
        async fn is_serving(&self) -> Result<bool, Status> {
            // A clone shares the connection and the token.
            let response = self.health.clone().check(request()).await?.into_inner();
            Ok(response.status() == health_check_response::ServingStatus::Serving)
        }
    }

    let health = Health::start().await;
    let checks = Checks { health: health.client() };
    let spawned = tokio::spawn(async move { checks.is_serving().await });
    assert!(spawned.await.unwrap().unwrap());
}

#[tokio::test]
async fn many_calls_on_one_channel_share_the_renewal() {
    let health = Health::start().await;
    let client = health.client();
    client.clone().check(request()).await.unwrap();
    health.issuer.revoke_all();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.check(request()).await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(health.issuer.requests().len(), 2);
}

#[tokio::test]
async fn without_a_token_the_status_has_the_error_as_its_source() {
    let health = Health::start().await;
    health.issuer.answer_always(Answer::status(::http::StatusCode::SERVICE_UNAVAILABLE));
    let status = health.client().check(request()).await.unwrap_err();
    let source = std::error::Error::source(&status).unwrap();
    assert!(source.downcast_ref::<TokenError>().unwrap().is_transient(), "{status:?}");
    assert!(health.calls().is_empty());
}

#[tokio::test]
async fn an_origin_on_the_client_lets_the_layer_check_it() {
    let health = Health::start().await;
    let channel = health.layer().buffered(64 * 1024, Body::new).layer(health.channel.clone());
    let mut client =
        HealthClient::with_origin(channel, ::http::Uri::from_static("http://api.example.com"));
    let status = client.check(request()).await.unwrap_err();
    let source = std::error::Error::source(&status).unwrap();
    assert!(source.downcast_ref::<TokenError>().unwrap().is_insecure(), "{status:?}");
    assert!(health.calls().is_empty());
}
