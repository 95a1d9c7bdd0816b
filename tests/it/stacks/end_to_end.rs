//! The whole way over sockets: an issuer, an API, and a hyper client in between.

use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant,
    NotReplayed, Placement, Shared, TokenCache, TokenError,
    testing::{Answer, AuthorizationServer, MemoryStore, ProtectedApi},
};

use crate::support::{Body, Boxed, Issuer, channel, seconds, send};

type Http = Client<HttpConnector, Body>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

struct World {
    issuer: AuthorizationServer,
    api: ProtectedApi,
}

impl World {
    async fn new() -> Self {
        let issuer = AuthorizationServer::start().await.unwrap();
        issuer.client("id", "s3cr3t");
        let api = ProtectedApi::start(&issuer).await.unwrap();
        Self { issuer, api }
    }

    fn credentials(&self, auth: impl Into<ClientAuth>) -> ClientCredentialsBuilder<Http> {
        ClientCredentials::builder(http(), self.issuer.token_endpoint(), "id", auth)
    }

    fn post(&self) -> Request<Body> {
        Request::post(self.api.url("/orders?page=2"))
            .header(CONTENT_TYPE, "text/plain")
            .body(Body::from("an order"))
            .unwrap()
    }
}

fn client(credentials: ClientCredentialsBuilder<Http>) -> BearerAuth<Http> {
    BearerAuthLayer::new(credentials.build().unwrap()).layer(http())
}

/// A request goes out with a token, and the next survives that token's revocation.
async fn survives_a_revocation(world: World, credentials: ClientCredentialsBuilder<Http>) {
    let mut client = client(credentials);
    let first = send(&mut client, world.post()).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    world.issuer.revoke_all();
    let second = send(&mut client, world.post()).await.unwrap();
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(world.issuer.requests().len(), 2);

    let arrived = world.api.requests();
    let tokens: Vec<_> = arrived.iter().map(|request| request.bearer().unwrap()).collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert!(arrived.iter().all(|request| request.body == "an order"));
    assert!(arrived.iter().all(|request| request.uri == "/orders?page=2"));
}

#[tokio::test]
async fn layar_survives_a_revocation() {
    let world = World::new().await;
    world.issuer.same_token_until_expiry();
    let credentials = world.credentials("s3cr3t").placement(Placement::Query);
    survives_a_revocation(world, credentials).await;
}

#[tokio::test]
async fn layer1_survives_a_revocation() {
    let world = World::new().await;
    let credentials = world.credentials(ClientAuth::post("s3cr3t"));
    survives_a_revocation(world, credentials).await;
}

#[tokio::test]
async fn virtana_survives_a_revocation() {
    let world = World::new().await;
    let credentials =
        world.credentials(ClientAuth::legacy_query("s3cr3t")).placement(Placement::LegacyGet);
    survives_a_revocation(world, credentials).await;
}

#[tokio::test]
async fn vyopta_survives_a_revocation() {
    let issuer = AuthorizationServer::start().await.unwrap();
    let api = ProtectedApi::start(&issuer).await.unwrap();
    let world = World { issuer, api };
    let credentials = world
        .credentials(ClientAuth::none())
        .grant(Grant::legacy_password("user@example.com", "p@ss"));
    survives_a_revocation(world, credentials).await;
}

#[tokio::test]
async fn raw_basic_survives_a_revocation() {
    let world = World::new().await;
    world.issuer.client("id", "s3cr3t/+=");
    let credentials = world.credentials(ClientAuth::basic_unencoded("s3cr3t/+="));
    survives_a_revocation(world, credentials).await;
}

#[tokio::test]
async fn bad_credentials_are_a_typed_error_and_the_api_is_not_called() {
    let world = World::new().await;
    let mut client = client(world.credentials(ClientAuth::basic_unencoded("wr0ng")));
    let error = send(&mut client, world.post()).await.unwrap_err();
    let error = error.downcast_ref::<TokenError>().unwrap();
    assert!(error.is_refused());
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(!format!("{error} {error:?}").contains("wr0ng"));
    assert!(world.api.requests().is_empty());
}

#[tokio::test]
async fn the_apis_403_goes_to_the_caller() {
    let world = World::new().await;
    world.api.answer_next(Answer::status(StatusCode::FORBIDDEN).body("no permission"));
    let mut client = client(world.credentials("s3cr3t"));
    let response: Response<_> = send(&mut client, world.post()).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(world.issuer.requests().len(), 1);
    assert_eq!(world.api.requests().len(), 1);
}

#[tokio::test]
async fn an_api_that_rejects_all_gets_two_attempts() {
    let world = World::new().await;
    world.api.reject_everything();
    let mut client = client(world.credentials("s3cr3t"));
    let response = send(&mut client, world.post()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.api.requests().len(), 2);
    let response = send(&mut client, world.post()).await.unwrap();
    assert!(matches!(response.extensions().get(), Some(NotReplayed::Cooldown)));
    assert_eq!(world.api.requests().len(), 3);
    assert_eq!(world.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_hundred_requests_on_an_empty_cache_share_one_fetch() {
    let world = World::new().await;
    world.issuer.latency(std::time::Duration::from_millis(50));
    let client = client(world.credentials("s3cr3t"));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (mut client, request) = (client.clone(), world.post());
            tokio::spawn(async move { send(&mut client, request).await.unwrap().status() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(world.issuer.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_response_is_retried() {
    let world = World::new().await;
    world.issuer.answer_next(Answer::cut());
    let mut client = client(world.credentials("s3cr3t"));
    let response = send(&mut client, world.post()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_short_lived_token_is_renewed_when_it_expires() {
    let world = World::new().await;
    world.issuer.token_lifetime(seconds(1));
    let mut client = client(world.credentials("s3cr3t"));
    let started = tokio::time::Instant::now();
    while world.issuer.requests().len() < 3 && started.elapsed() < seconds(10) {
        assert_eq!(send(&mut client, world.post()).await.unwrap().status(), StatusCode::OK);
    }
    assert!(world.issuer.requests().len() >= 3);
}

/// Reads until there is `text`, or the connection ends.
async fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        match connection.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_401_during_the_body_cuts_it_off_and_all_of_it_is_resent() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", server.local_addr().unwrap());
    let http = Client::builder(TokioExecutor::new()).build_http::<Boxed>();
    let mut client =
        BearerAuthLayer::new(Issuer::of(seconds(300))).buffered(100, Boxed::new).layer(http);
    let (sender, body) = channel();
    sender.send("one");
    let request = Request::post(uri).body(body).unwrap();
    let (response, ()) = tokio::join!(send(&mut client, request), async {
        let (mut first, _) = server.accept().await.unwrap();
        let seen = read_until(&mut first, "one\r\n").await;
        assert!(seen.contains("Bearer t1"), "{seen}");
        first.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let (mut second, _) = server.accept().await.unwrap();
        let seen = read_until(&mut second, "one\r\n").await;
        assert!(seen.contains("Bearer t2"), "{seen}");
        sender.send("two");
        drop(sender);
        assert_eq!(read_until(&mut second, "0\r\n\r\n").await, "3\r\ntwo\r\n0\r\n\r\n");
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        // The first connection ends, without the chunk that would end its body.
        assert_eq!(read_until(&mut first, "0\r\n\r\n").await, "");
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn sharing_processes_live_with_one_token_per_client() {
    let world = World::new().await;
    world.issuer.one_token_per_client();
    let store = MemoryStore::new();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let credentials = world.credentials("s3cr3t").build().unwrap();
            let tokens = TokenCache::new(Shared::new(credentials, store.clone()));
            BearerAuthLayer::new(tokens).layer(http())
        })
        .collect();

    for token_requests in [1, 2] {
        let mut under_way = tokio::task::JoinSet::new();
        for client in clients.iter().cycle().take(80) {
            under_way.spawn(client.clone().oneshot(world.post()));
        }
        for response in under_way.join_all().await {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(world.issuer.requests().len(), token_requests);
        world.issuer.revoke_all();
    }
}

#[tokio::test]
async fn an_issuer_can_keep_one_token_per_client() {
    let world = World::new().await;
    world.issuer.client("other", "s3cr3t");
    world.issuer.one_token_per_client();
    let mut first = client(world.credentials("s3cr3t"));
    let mut second = client(world.credentials("s3cr3t"));
    let other =
        ClientCredentials::builder(http(), world.issuer.token_endpoint(), "other", "s3cr3t");
    let mut other = client(other);
    // Each of the two ends the token of the other one, and has its own request sent once more.
    for seen in [1, 2, 3, 5, 7, 8] {
        let client = match seen {
            1 | 5 => &mut first,
            2 | 7 => &mut second,
            _ => &mut other,
        };
        let response = send(client, world.post()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(world.api.requests().len(), seen);
    }
}
