use std::sync::Arc;

use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Status,
    body::Body,
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
use tower::Layer;
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
    reporter: HealthReporter,
    channel: Channel,
}

impl Health {
    async fn start() -> Self {
        let issuer = Arc::new(AuthorizationServer::start().await.unwrap());
        let calls = Arc::<std::sync::Mutex<Vec<Code>>>::default();
        let (reporter, service) = tonic_health::server::health_reporter();
        let check = {
            let (issuer, calls) = (issuer.clone(), calls.clone());
            move |request: Request<()>| {
                let token = request.metadata().get("authorization");
                let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                let good = token.is_some_and(|token| issuer.is_active(token));
                calls.lock().unwrap().push(if good { Code::Ok } else { Code::Unauthenticated });
                if good { Ok(request) } else { Err(Status::unauthenticated("no token")) }
            }
        };
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let service = InterceptedService::new(service, check);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
        Self { issuer, calls, reporter, channel }
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

    fn calls(&self) -> Vec<Code> {
        self.calls.lock().unwrap().clone()
    }
}

fn request() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn a_unary_call_that_is_unauthenticated_is_made_once_more_with_a_new_token() {
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
async fn a_message_larger_than_the_limit_is_sent_once_and_heals_with_the_next_call() {
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
async fn without_replay_the_status_is_the_callers_and_the_next_call_has_a_new_token() {
    let health = Health::start().await;
    let mut client = HealthClient::new(health.layer().no_replay().layer(health.channel.clone()));
    client.check(request()).await.unwrap();
    health.issuer.revoke_all();
    assert_eq!(client.check(request()).await.unwrap_err().code(), Code::Unauthenticated);
    client.check(request()).await.unwrap();
    assert_eq!(health.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_outlives_its_token_and_the_next_one_begins_with_another() {
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
async fn a_call_that_is_refused_while_it_streams_is_made_once_more_and_streams_on() {
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
async fn without_a_token_the_status_has_the_error_as_its_source_and_no_call_is_made() {
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
