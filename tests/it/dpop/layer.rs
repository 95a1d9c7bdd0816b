//! What the layer does with a token that is bound.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, Service, service_fn};
use tower_bearer::{
    Anonymous, BearerAuthLayer, BoxError, DpopKey, JwtAlgorithm, NotReplayed, Shared, Token,
    TokenCache, TokenError, fetch_fn, rejection, testing::MemoryStore,
};

use super::{Read, assert_unique, token_of};
use crate::shared::faulty_store::FaultyStore;
use crate::support::*;

/// An API that wants bound tokens, at any number of hosts.
#[derive(Clone)]
struct Api {
    key: DpopKey,
    state: Arc<Mutex<ApiState>>,
}

#[derive(Default)]
struct ApiState {
    /// The nonce that each host wants to see.
    nonces: HashMap<String, &'static str>,
    /// A nonce that the next response of a host has.
    next: HashMap<String, &'static str>,
    revoked: HashSet<String>,
    /// What every proof is refused with.
    error: Option<&'static str>,
    seen: Vec<(String, Read, String)>,
}

impl Api {
    fn new() -> Self {
        let key = DpopKey::generate(JwtAlgorithm::EdDSA).unwrap();
        Self { key, state: Arc::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ApiState> {
        self.state.lock().unwrap()
    }

    fn wants_nonce(&self, host: &str, nonce: &'static str) {
        self.state().nonces.insert(host.to_owned(), nonce);
    }

    fn sends(&self) -> usize {
        self.state().seen.len()
    }

    /// Tokens `t1`, `t2` and so on, and how many there were.
    fn tokens(&self) -> (TokenCache, Arc<Mutex<usize>>) {
        let (key, fetches) = (self.key.clone(), Arc::new(Mutex::new(0)));
        let count = fetches.clone();
        let tokens = TokenCache::new(fetch_fn(move |_| {
            *count.lock().unwrap() += 1;
            let token = Token::dpop(&format!("t{}", count.lock().unwrap()), &key);
            async move { token.map(|token| token.expires_in(seconds(3600))) }
        }));
        (tokens, fetches)
    }

    fn answer(&self, host: &str, token: String, proof: Read, body: String) -> Response<Body> {
        let mut state = self.state();
        let mut response = answer(200);
        let wanted = state.nonces.get(host).copied();
        let refusal = match () {
            () if state.error.is_some() => state.error,
            () if wanted.is_some() && proof.nonce.as_deref() != wanted => Some("use_dpop_nonce"),
            () if state.revoked.contains(&token) => Some("invalid_token"),
            () => None,
        };
        if let Some(error) = refusal {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let challenge = format!(r#"DPoP algs="ES256 EdDSA", error="{error}""#);
            response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        }
        let nonce = match refusal {
            Some("use_dpop_nonce") => wanted,
            _ => state.next.get(host).copied(),
        };
        if let Some(nonce) = nonce {
            response.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
        }
        state.seen.push((token, proof, body));
        response
    }

    fn client<B>(
        &self,
    ) -> impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
    where
        B: http_body::Body<Data: Send, Error: std::fmt::Debug> + Send + 'static,
    {
        let api = self.clone();
        service_fn(move |request: Request<B>| {
            let api = api.clone();
            async move {
                let (token, proof) = token_of(&request, &api.key);
                let host = request.uri().host().unwrap_or("").to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                Ok(api.answer(&host, token, proof, body))
            }
        })
    }

    /// What was sent: tokens and nonces.
    fn log(&self) -> Vec<(String, Option<String>)> {
        let state = self.state();
        assert_unique(state.seen.iter().map(|(_, proof, _)| proof));
        state.seen.iter().map(|(token, proof, _)| (token.clone(), proof.nonce.clone())).collect()
    }
}

fn log(sent: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    sent.iter().map(|(token, nonce)| ((*token).to_owned(), nonce.map(str::to_owned))).collect()
}

const HOST: &str = "api.example.com";
const URI: &str = "https://api.example.com/orders";

#[tokio::test(start_paused = true)]
async fn a_nonce_that_the_api_wants_is_sent_once_with_the_same_token() {
    let api = Api::new();
    api.wants_nonce(HOST, "n1");
    let (tokens, fetches) = api.tokens();
    let mut client = BearerAuthLayer::new(tokens).layer(api.client());
    for _ in 0..3 {
        let response = send(&mut client, get(URI)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.extensions().get::<NotReplayed>().is_none());
    }
    let n1 = Some("n1");
    assert_eq!(api.log(), log(&[("t1", None), ("t1", n1), ("t1", n1), ("t1", n1)]));
    // It changes in mid-traffic, announced or not.
    api.wants_nonce(HOST, "n2");
    send(&mut client, get(URI)).await.unwrap();
    api.state().next.insert(HOST.into(), "n3");
    send(&mut client, get(URI)).await.unwrap();
    api.wants_nonce(HOST, "n3");
    send(&mut client, get(URI)).await.unwrap();
    let (n2, n3) = (Some("n2"), Some("n3"));
    let expected = log(&[("t1", n1), ("t1", n2), ("t1", n2), ("t1", n3)]);
    assert_eq!(api.log()[4..], expected);
    assert_eq!(*fetches.lock().unwrap(), 1, "a nonce is no reason to fetch");
}

#[tokio::test(start_paused = true)]
async fn nonces_do_not_spend_the_cooldown() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let mut client = BearerAuthLayer::new(tokens).layer(api.client());
    let nonces: Vec<&'static str> = (0..50).map(|n| &*format!("nonce-{n}").leak()).collect();
    for nonce in nonces {
        api.wants_nonce(HOST, nonce);
        assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    }
    assert_eq!(*fetches.lock().unwrap(), 1);
    for n in 1..=3 {
        api.state().revoked.insert(format!("t{n}"));
        assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonce_and_then_a_refused_token_make_three_sends() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    api.wants_nonce(HOST, "n1");
    api.state().revoked.insert("t1".into());
    let mut client = BearerAuthLayer::new(tokens).layer(api.client());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    assert_eq!(api.log(), log(&[("t1", None), ("t1", Some("n1")), ("t2", Some("n1"))]));
    assert_eq!(*fetches.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_and_then_a_nonce_make_three_sends() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let mut client = BearerAuthLayer::new(tokens).layer(service_fn({
        let (api, inner) = (api.clone(), api.client());
        move |request: Request<Body>| {
            let (api, mut inner) = (api.clone(), inner.clone());
            async move {
                // The nonce is wanted from the second send on.
                if api.sends() == 1 {
                    api.wants_nonce(HOST, "n1");
                }
                inner.call(request).await
            }
        }
    }));
    api.state().revoked.insert("t1".into());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    assert_eq!(api.log(), log(&[("t1", None), ("t2", None), ("t2", Some("n1"))]));
    assert_eq!(*fetches.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_never_sent_four_times() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let wants: Arc<Mutex<usize>> = Arc::default();
    let mut client = BearerAuthLayer::new(tokens).layer(service_fn({
        let (api, inner) = (api.clone(), api.client());
        move |request: Request<Body>| {
            let (api, mut inner, wants) = (api.clone(), inner.clone(), wants.clone());
            async move {
                // Another nonce each time, and no token that is good.
                *wants.lock().unwrap() += 1;
                let n = *wants.lock().unwrap();
                api.wants_nonce(HOST, format!("n{n}").leak());
                if n % 2 == 0 {
                    api.state().nonces.clear();
                    api.state().revoked.extend((1..9).map(|n| format!("t{n}")));
                }
                inner.call(request).await
            }
        }
    }));
    let response = send(&mut client, get(URI)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.sends(), 3);
    assert_eq!(*fetches.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_does_not_help_is_not_given_again() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let mut client = BearerAuthLayer::new(tokens).layer(service_fn({
        let (api, inner) = (api.clone(), api.client());
        move |request: Request<Body>| {
            let (api, mut inner) = (api.clone(), inner.clone());
            async move {
                let nonce = format!("n{}", api.sends()).leak();
                api.wants_nonce(HOST, nonce);
                inner.call(request).await
            }
        }
    }));
    for sends in [2, 4] {
        let response = send(&mut client, get(URI)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(api.sends(), sends);
    }
    assert_eq!(*fetches.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_about_the_proof_is_the_callers() {
    for error in ["invalid_dpop_proof", "insufficient_scope", "use_dpop_nonce"] {
        let api = Api::new();
        api.state().error = Some(error);
        let (tokens, fetches) = api.tokens();
        let mut client = BearerAuthLayer::new(tokens).layer(api.client());
        for sends in 1..=10 {
            let response = send(&mut client, get(URI)).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(api.sends(), sends, "{error} comes without a nonce");
        }
        assert_eq!(*fetches.lock().unwrap(), 1, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn origins_have_nonces_of_their_own() {
    let api = Api::new();
    let (tokens, _) = api.tokens();
    api.wants_nonce("one.example.com", "n1");
    api.wants_nonce("two.example.com", "n2");
    let mut client = BearerAuthLayer::new(tokens).layer(api.client());
    for uri in
        ["https://one.example.com/", "https://two.example.com/", "https://ONE.example.com:443/"]
    {
        assert_eq!(send(&mut client, get(uri)).await.unwrap().status(), 200, "{uri}");
    }
    let sent: Vec<_> = api.log().into_iter().map(|(_, nonce)| nonce).collect();
    let expected = [None, Some("n1"), None, Some("n2"), Some("n1")].map(|n| n.map(str::to_owned));
    // The API takes upper case for another host, and asks again.
    assert_eq!(sent[..5], expected);
}

#[tokio::test(start_paused = true)]
async fn without_replay_a_wanted_nonce_is_there_for_the_next_request() {
    let api = Api::new();
    api.wants_nonce(HOST, "n1");
    let (tokens, fetches) = api.tokens();
    let mut client = BearerAuthLayer::new(tokens).no_replay().layer(api.client());
    let response = send(&mut client, get(URI)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(matches!(response.extensions().get(), Some(NotReplayed::Body)));
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    assert_eq!(*fetches.lock().unwrap(), 1, "the token was not refused");
}

#[tokio::test(start_paused = true)]
async fn all_sends_of_a_body_are_the_same() {
    let api = Api::new();
    api.wants_nonce(HOST, "n1");
    api.state().revoked.insert("t1".into());
    let (tokens, _) = api.tokens();
    let layer = BearerAuthLayer::new(tokens);
    let cloned = layer.clone().layer(api.client::<Body>());
    let request = Request::post(URI).body(Full::from("a body")).unwrap();
    assert_eq!(send(&mut cloned.clone(), request).await.unwrap().status(), 200);

    let (tokens, _) = api.tokens();
    api.state().nonces.insert(HOST.into(), "n2");
    api.state().revoked.insert("t1".into());
    let layer = BearerAuthLayer::new(tokens).buffered(64, Boxed::new);
    let mut buffered = layer.layer(api.client::<Boxed>());
    let frames = ["a ", "bo", "dy"].map(|data| Ok(http_body::Frame::data(Bytes::from(data))));
    let streamed = Boxed::new(StreamBody::new(tokio_stream::iter(frames)));
    let request = Request::post(URI).body(streamed).unwrap();
    assert_eq!(send(&mut buffered, request).await.unwrap().status(), 200);
    let empty = Request::post(URI).body(Boxed::default()).unwrap();
    api.state().nonces.insert(HOST.into(), "n3");
    api.state().revoked.insert("t2".into());
    assert_eq!(send(&mut buffered, empty).await.unwrap().status(), 200);

    let bodies: Vec<_> = api.state().seen.iter().map(|(_, _, body)| body.clone()).collect();
    assert_eq!(bodies, ["a body", "a body", "a body", "a body", "a body", "a body", "", "", ""]);
}

#[tokio::test(start_paused = true)]
async fn with_try_clone_a_request_is_sent_three_times_too() {
    let api = Api::new();
    api.wants_nonce(HOST, "n1");
    api.state().revoked.insert("t1".into());
    let (tokens, _) = api.tokens();
    tokens.token().await.unwrap();
    let layer = BearerAuthLayer::new(tokens).try_clone(|body: &Body| Some(body.clone()));
    let mut client = layer.layer(api.client());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    assert_eq!(api.log(), log(&[("t1", None), ("t1", Some("n1")), ("t2", Some("n1"))]));
}

#[tokio::test(start_paused = true)]
async fn a_bound_token_and_its_proof_go_to_the_named_origins_alone() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let layer = BearerAuthLayer::new(tokens).only_for(["https://api.example.com"]).unwrap();
    let mut client = layer.layer(service_fn(async |request: Request<Body>| {
        assert!(request.headers().get("dpop").is_none());
        assert!(request.headers().get("authorization").is_none());
        Ok::<_, BoxError>(answer(200))
    }));
    send(&mut client, get("https://other.example.com/")).await.unwrap();
    let mut opted_out = get(URI);
    opted_out.extensions_mut().insert(Anonymous);
    send(&mut client, opted_out).await.unwrap();
    assert_eq!(*fetches.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_host_needs_the_one_origin_of_the_layer() {
    let api = Api::new();
    let (tokens, _) = api.tokens();
    tokens.token().await.unwrap();
    let layer = BearerAuthLayer::new(tokens);
    let request = || Request::post("/shop.v1.Orders/Get").body(Body::default()).unwrap();
    let error = send(&mut layer.clone().layer(api.client()), request()).await.unwrap_err();
    let error = error.downcast::<TokenError>().unwrap();
    assert!(error.is_config() && error.to_string().contains("only_for"), "{error}");
    assert_eq!(api.sends(), 0);

    let layer = layer.only_for(["https://API.example.com"]).unwrap();
    send(&mut layer.layer(api.client()), request()).await.unwrap();
    let state = api.state();
    assert_eq!(state.seen[0].1.htu, "https://api.example.com/shop.v1.Orders/Get");
}

#[tokio::test(start_paused = true)]
async fn the_first_request_waits_for_the_token_and_has_a_proof() {
    let api = Api::new();
    api.wants_nonce(HOST, "n1");
    let (tokens, _) = api.tokens();
    let (mock, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    handle.allow(0);
    let mut client = BearerAuthLayer::new(tokens).layer(mock);
    handle.allow(8);
    let call = tokio::spawn(async move { send(&mut client, get(URI)).await.unwrap().status() });
    for nonce in [None, Some("n1")] {
        let (request, respond) = handle.next_request().await.unwrap();
        let (token, proof) = token_of(&request, &api.key);
        assert_eq!(proof.nonce.as_deref(), nonce);
        respond.send_response(api.answer(HOST, token, proof, String::new()));
    }
    assert_eq!(call.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_bound_token_is_not_shared_with_processes_that_lack_its_key() {
    let api = Api::new();
    let (key, store) = (api.key.clone(), FaultyStore::default());
    let fetcher = fetch_fn(move |_| {
        let token = Token::dpop("abc", &key);
        async move { token.map(|token| token.expires_in(seconds(3600))) }
    });
    let tokens = TokenCache::new(Shared::new(fetcher, store.clone()).name("orders"));
    let mut client = BearerAuthLayer::new(tokens).layer(api.client());
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), StatusCode::OK);
    assert!(store.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_first_time_processes_wait_for_a_bound_token() {
    let (key, store) = (DpopKey::generate(JwtAlgorithm::ES256).unwrap(), MemoryStore::new());
    let replica = || {
        let key = key.clone();
        let fetcher = fetch_fn(move |_| {
            let token = Token::dpop(&format!("{:x}", fastrand::u64(..)), &key);
            async move {
                tokio::time::sleep(seconds(1)).await;
                token.map(|token| token.expires_in(seconds(3600)))
            }
        });
        TokenCache::new(Shared::new(fetcher, store.clone()).name("orders"))
    };
    let replicas = [replica(), replica(), replica()];
    for replica in &replicas {
        let token = replica.token().await.unwrap();
        replica.reject(&token);
    }
    let begun = tokio::time::Instant::now();
    let [a, b, c] = &replicas;
    let (a, b, c) = tokio::join!(a.token(), b.token(), c.token());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert!(begun.elapsed() < seconds(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_a_grpc_server_asks_for_is_no_rejection_either() {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let mut client =
        BearerAuthLayer::new(tokens).rejected_when(rejection::grpc).layer(service_fn({
            let inner = api.client();
            move |request: Request<Body>| {
                let mut inner = inner.clone();
                let response = inner.call(request);
                async move {
                    let mut response = response.await?;
                    if response.status() == 401 {
                        *response.status_mut() = StatusCode::OK;
                        response.headers_mut().insert("grpc-status", "16".parse().unwrap());
                    }
                    Ok::<_, Infallible>(response)
                }
            }
        }));
    for nonce in ["n1", "n2", "n3"] {
        api.wants_nonce(HOST, nonce);
        let response = send(&mut client, get(URI)).await.unwrap();
        assert!(!response.headers().contains_key("grpc-status"));
    }
    assert_eq!(*fetches.lock().unwrap(), 1);
    assert_eq!(api.sends(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_cloned_once_while_its_request_waits_for_a_token() {
    let clones: Arc<Mutex<usize>> = Arc::default();
    let counted = clones.clone();
    let tokens = fetch_fn(async |_| Token::bearer("abc"));
    let layer = BearerAuthLayer::new(tokens).try_clone(move |body: &Body| {
        *counted.lock().unwrap() += 1;
        Some(body.clone())
    });
    let mut client =
        layer.layer(service_fn(async |_: Request<Body>| Ok::<_, BoxError>(answer(200))));
    for requests in 1..=2 {
        send(&mut client, get(URI)).await.unwrap();
        assert_eq!(*clones.lock().unwrap(), requests);
    }
}

/// Each request's first token is refused, and then the proof is.
async fn fetches_of(layer: impl FnOnce(BearerAuthLayer) -> BearerAuthLayer) -> usize {
    let api = Api::new();
    let (tokens, fetches) = api.tokens();
    let mut client = layer(BearerAuthLayer::new(tokens)).layer(service_fn({
        let (api, inner) = (api.clone(), api.client());
        move |request: Request<Body>| {
            let error = if api.sends() % 2 == 0 { "invalid_token" } else { "invalid_dpop_proof" };
            api.state().error = Some(error);
            inner.clone().call(request)
        }
    }));
    for _ in 0..20 {
        send(&mut client, get(URI)).await.unwrap();
        if api.sends() % 2 == 1 {
            api.state().seen.pop();
        }
    }
    *fetches.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rejected_proof_does_not_count_as_an_accepted_token() {
    let plain = fetches_of(|layer| layer).await;
    assert_eq!(fetches_of(BearerAuthLayer::insufficient_claims).await, plain);
    assert!(plain <= 3, "{plain}");
}
