//! The contract with users: each client that the documentation names is layered and called here
//! without a type annotation, can be stored, and its type can be written down.

use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{
    BodyExt, Either, Empty, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    buffer::Buffer,
    retry::Retry,
    service_fn,
    timeout::Timeout,
    util::{BoxCloneService, BoxCloneSyncService},
};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, ReqwestClient, TokenCache, TokenCaches, TokenError,
    rejection,
    replay::{Buffered, NoReplay, ReplayBody, TryClone},
};

use crate::support::{Issuer, seconds};

const LIMIT: usize = 64 * 1024;

fn layer() -> BearerAuthLayer {
    BearerAuthLayer::new(Issuer::default())
}

fn request<B>(body: B) -> Request<B> {
    Request::get("https://api.example.com/").body(body).unwrap()
}

fn http<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

fn channel() -> Channel {
    Endpoint::from_static("https://api.example.com").connect_lazy()
}

/// What a struct that is shared between tasks may hold.
fn stored<T: Clone + Send + Sync + 'static>(_: &T) {}

fn spawned<F: Future<Output: Send> + Send + 'static>(_: F) {}

/// A client that is stored, and called from tasks.
macro_rules! called {
    ($client:expr, $body:expr) => {{
        let client = $client;
        stored(&client);
        spawned(client.clone().oneshot(request($body)));
        let mut called = client;
        spawned(async move { called.ready().await?.call(request($body)).await.map(drop) });
    }};
}

#[tokio::test]
async fn hyper_util_with_a_body_that_is_clone() {
    called!(layer().layer(http()), Full::<Bytes>::default());
    called!(layer().layer(http()), Empty::<Bytes>::new());
    called!(layer().layer(http()), String::new());
}

#[tokio::test]
async fn hyper_util_with_a_boxed_body() {
    let boxed = || Full::<Bytes>::default().map_err(BoxError::from).boxed();
    called!(layer().buffered(LIMIT, |body| body.boxed()).layer(http()), boxed());
    called!(layer().buffered(LIMIT, BodyExt::boxed).layer(http()), boxed());
    called!(layer().no_replay().layer(http()), boxed());

    let boxed = || Full::<Bytes>::default().map_err(BoxError::from).boxed_unsync();
    called!(layer().buffered(LIMIT, |body| body.boxed_unsync()).layer(http()), boxed());
}

#[tokio::test]
async fn hyper_util_with_a_body_that_can_be_cloned_at_times() {
    type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, BoxError>>;
    let some = |body: &Body| match body {
        Either::Left(full) => Some(Either::Left(full.clone())),
        Either::Right(_) => None,
    };
    called!(layer().try_clone(some).layer(http()), Body::Left(Full::default()));
}

#[tokio::test]
async fn reqwest_as_a_service() {
    let http = reqwest::Client::new();
    called!(layer().layer(ReqwestClient::new(http.clone())), Full::<Bytes>::default());
    called!(layer().layer(ReqwestClient::new(http.clone())), Empty::<Bytes>::new());
    called!(
        layer().buffered(LIMIT, reqwest::Body::wrap).layer(ReqwestClient::new(http.clone())),
        reqwest::Body::default()
    );
    called!(layer().buffered(LIMIT, BodyExt::boxed).layer(ReqwestClient::new(http.clone())), {
        Full::<Bytes>::default().map_err(BoxError::from).boxed()
    });
    called!(layer().layer(Buffer::new(ReqwestClient::new(http), 1)), Full::<Bytes>::default());
    let http = reqwest012::Client::new();
    called!(layer().layer(ReqwestClient::new(http)), Full::<Bytes>::default());

    // As it is without the adapter.
    let client = reqwest::Client::new();
    let http = service_fn(move |request: Request<reqwest::Body>| {
        let client = client.clone();
        async move {
            let response = client.execute(request.try_into()?).await?;
            Ok::<_, reqwest::Error>(Response::<reqwest::Body>::from(response))
        }
    });
    called!(
        layer().buffered(LIMIT, reqwest::Body::wrap).layer(http.clone()),
        reqwest::Body::default()
    );
    called!(layer().no_replay().layer(http), reqwest::Body::default());
}

#[tokio::test]
async fn reqwest_with_middleware() {
    let client = ClientBuilder::new(reqwest::Client::new()).with(layer()).build();
    stored(&client);
    spawned(async move { client.get("https://api.example.com/").send().await.map(drop) });
    stored(&ClientBuilder::new(reqwest::Client::new()).with(layer().no_replay()).build());
}

#[tokio::test]
async fn a_generated_tonic_client() {
    let layer = layer().rejected_when(rejection::grpc).buffered(LIMIT, tonic::body::Body::new);
    let client = HealthClient::new(layer.layer(channel()));
    stored(&client);
    let mut called = client.clone();
    spawned(async move { called.check(HealthCheckRequest::default()).await.map(drop) });
    let mut called = client;
    spawned(async move { called.watch(HealthCheckRequest::default()).await.map(drop) });

    let timed = ServiceBuilder::new().timeout(seconds(1)).layer(layer).service(channel());
    let mut client = HealthClient::new(timed).max_decoding_message_size(1024);
    spawned(async move { client.check(HealthCheckRequest::default()).await.map(drop) });
}

#[tokio::test]
async fn a_client_for_what_an_axum_server_gets() {
    use axum::body::Body;
    called!(layer().buffered(LIMIT, Body::new).layer(http()), Body::empty());
    called!(layer().no_replay().layer(http()), Body::empty());
}

/// Whose token a request wants.
#[derive(Clone)]
struct Tenant(String);

fn tenants() -> TokenCaches<String> {
    TokenCaches::new(|_: &String| Ok::<_, TokenError>(Issuer::default()))
}

#[tokio::test]
async fn a_layer_that_selects_in_each_client() {
    let tokens = tenants();
    let layer = BearerAuthLayer::select(move |head| match head.extensions.get() {
        Some(Tenant(tenant)) => tokens.get(tenant).map(Some),
        None => Ok(None),
    });
    called!(layer.clone().layer(http()), Full::<Bytes>::default());
    called!(layer.clone().buffered(LIMIT, BodyExt::boxed_unsync).layer(http()), {
        Full::<Bytes>::default().map_err(BoxError::from).boxed_unsync()
    });
    called!(layer.clone().buffered(LIMIT, axum::body::Body::new).layer(http()), {
        axum::body::Body::empty()
    });
    let reqwest = service_fn(async |request: Request<reqwest::Body>| {
        let response = reqwest::Client::new().execute(request.try_into()?).await?;
        Ok::<_, reqwest::Error>(Response::<reqwest::Body>::from(response))
    });
    called!(layer.clone().buffered(LIMIT, reqwest::Body::wrap).layer(reqwest), {
        reqwest::Body::default()
    });

    let client = ClientBuilder::new(reqwest::Client::new()).with(layer.clone()).build();
    stored(&client);
    let request = client.get("https://api.example.com/").with_extension(Tenant("acme".into()));
    spawned(async move { request.send().await.map(drop) });

    let layer = layer.rejected_when(rejection::grpc).buffered(LIMIT, tonic::body::Body::new);
    let client = HealthClient::new(layer.layer(channel()));
    stored(&client);
    let mut called = client;
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.extensions_mut().insert(Tenant("acme".into()));
    spawned(async move { called.check(request).await.map(drop) });
}

#[tokio::test]
async fn a_function_that_selects_by_header_path_or_method() {
    let tokens = tenants();
    let layer = BearerAuthLayer::select(move |head| {
        let tenant = head.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok());
        tenant.map(|tenant| tokens.get(tenant)).transpose()
    });
    called!(layer.layer(http()), Full::<Bytes>::default());

    let tokens = tenants();
    let layer = BearerAuthLayer::select(move |head| {
        let tenant = head.uri.path().split('/').nth(1).ok_or("the path has no tenant")?;
        Ok::<_, BoxError>(Some(tokens.get(tenant)?))
    });
    called!(layer.layer(http()), Full::<Bytes>::default());

    let (read, write) = (TokenCache::new(Issuer::default()), TokenCache::new(Issuer::default()));
    let layer = BearerAuthLayer::select(move |head| {
        let tokens = if head.method.is_safe() { &read } else { &write };
        Ok::<_, TokenError>(Some(tokens.clone()))
    });
    called!(layer.layer(http()), Full::<Bytes>::default());
}

#[tokio::test]
async fn boxed_services() {
    let body = Full::<Bytes>::default;
    called!(layer().layer(BoxCloneSyncService::new(http())), body());
    called!(BoxCloneSyncService::new(layer().layer(http())), body());

    let client = BoxCloneService::new(layer().layer(BoxCloneService::new(http())));
    spawned(client.clone().oneshot(request(body())));
    let mut called = client;
    spawned(async move { called.ready().await?.call(request(body())).await.map(drop) });
}

#[tokio::test]
async fn buffer_timeout_and_retry_on_both_sides() {
    let body = Full::<Bytes>::default;
    called!(Buffer::new(layer().layer(http()), 1), body());
    called!(layer().layer(Buffer::new(http(), 1)), body());
    called!(layer().layer(Buffer::new(BoxCloneService::new(http()), 1)), body());
    called!(Timeout::new(layer().layer(http()), seconds(1)), body());
    called!(layer().layer(Timeout::new(http(), seconds(1))), body());
    called!(Retry::new(Never, layer().layer(http())), body());
    called!(layer().layer(Retry::new(Never, http())), body());
    called!(layer().layer(layer().layer(http())), body());
}

#[tokio::test]
async fn a_whole_stack() {
    let client = ServiceBuilder::new()
        .buffer(8)
        .concurrency_limit(8)
        .timeout(seconds(30))
        .layer(layer())
        .buffer(8)
        .rate_limit(8, seconds(1))
        .service(http());
    called!(client, Full::<Bytes>::default());
}

#[derive(Clone)]
struct Never;

impl<Req: Clone, Res, E> tower::retry::Policy<Req, Res, E> for Never {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Req, _: &mut Result<Res, E>) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

type Boxed = BoxBody<Bytes, BoxError>;

/// Every client as the field of a struct.
#[derive(Clone)]
#[expect(clippy::type_complexity, reason = "that it can be written down is what is tested")]
struct Clients {
    hyper: BearerAuth<Client<HttpConnector, Full<Bytes>>>,
    boxed: BearerAuth<Client<HttpConnector, Boxed>, Buffered<fn(ReplayBody<Boxed>) -> Boxed>>,
    streams: BearerAuth<Client<HttpConnector, Incoming>, NoReplay>,
    at_times: BearerAuth<Client<HttpConnector, Boxed>, TryClone<fn(&Boxed) -> Option<Boxed>>>,
    reqwest: BearerAuth<ReqwestClient<reqwest::Client, Full<Bytes>>>,
    middleware: ClientWithMiddleware,
    tonic: HealthClient<
        BearerAuth<Channel, Buffered<fn(ReplayBody<tonic::body::Body>) -> tonic::body::Body>>,
    >,
    axum: BearerAuth<
        Client<HttpConnector, axum::body::Body>,
        Buffered<fn(ReplayBody<axum::body::Body>) -> axum::body::Body>,
    >,
    erased: BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>,
    tokens: TokenCache,
    tenants: TokenCaches<String>,
    layer: BearerAuthLayer,
}

#[tokio::test]
async fn the_type_of_a_stored_client_can_be_written_down() {
    // A field's type is a function pointer; a method's name becomes one where it is expected.
    let boxed: fn(ReplayBody<Boxed>) -> Boxed = BodyExt::boxed;
    let tonic: fn(ReplayBody<_>) -> tonic::body::Body = tonic::body::Body::new;
    let axum: fn(ReplayBody<_>) -> axum::body::Body = axum::body::Body::new;
    let clone: fn(&Boxed) -> Option<Boxed> = |_| None;
    let clients = Clients {
        hyper: layer().layer(http()),
        boxed: layer().buffered(LIMIT, boxed).layer(http()),
        streams: layer().no_replay().layer(http()),
        at_times: layer().try_clone(clone).layer(http()),
        reqwest: layer().layer(ReqwestClient::new(reqwest::Client::new())),
        middleware: ClientBuilder::new(reqwest::Client::new()).with(layer()).build(),
        tonic: HealthClient::new(layer().buffered(LIMIT, tonic).layer(channel())),
        axum: layer().buffered(LIMIT, axum).layer(http()),
        erased: BoxCloneSyncService::new(layer().layer(http())),
        tokens: TokenCache::new(Issuer::default()),
        tenants: tenants(),
        layer: layer(),
    };
    stored(&clients);
    let Clients { hyper, boxed, streams, at_times, reqwest, middleware, tonic, .. } =
        clients.clone();
    stored(&(hyper, boxed, streams, at_times, reqwest, middleware, tonic));
    let Clients { axum, erased, tokens, tenants, layer, .. } = clients;
    stored(&(axum, erased, tokens, tenants, layer));
}
