//! An API in memory that can be told what to think of a token.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header};
use tokio::time::Instant;
use tower::Service;

use super::step::OneOrMore;
use crate::support::{Body, Issuer, answer};

/// The tokens that one request was sent with, in order. It travels in the request's extensions.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Vec<String>>>);

impl Trail {
    pub fn tokens(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Which token the request is to have, where there are many. It travels there too.
#[derive(Clone)]
pub struct Key(pub String);

#[derive(Clone)]
pub struct Api {
    issuers: Arc<BTreeMap<String, Issuer>>,
    state: Arc<Mutex<ApiState>>,
}

pub struct ApiState {
    pub rejects: OneOrMore,
    pub challenge: Option<String>,
    pub refusal: u16,
    pub answers: u16,
    pub latency: Duration,
    /// What no client may do, whatever the scenario is about.
    pub breaches: Vec<String>,
}

impl Api {
    pub fn new(issuers: &Arc<BTreeMap<String, Issuer>>) -> Self {
        let state = ApiState {
            rejects: OneOrMore::One("nothing".into()),
            challenge: None,
            refusal: 401,
            answers: 200,
            latency: Duration::ZERO,
            breaches: Vec::new(),
        };
        Self { issuers: issuers.clone(), state: Arc::new(Mutex::new(state)) }
    }

    pub fn lock(&self) -> MutexGuard<'_, ApiState> {
        self.state.lock().unwrap()
    }

    fn arrived(&self, request: &Request<Body>) -> String {
        let mut breaches = Vec::new();
        let values: Vec<_> = request.headers().get_all(header::AUTHORIZATION).iter().collect();
        if values.len() > 1 {
            breaches.push(format!("{} Authorization values were sent", values.len()));
        }
        let value = values.first().map_or("none", |value| value.to_str().unwrap());
        let token = value.strip_prefix("Bearer ").unwrap_or(value).to_owned();
        if self.issuers.values().any(|issuer| issuer.has_expired(&token, Instant::now())) {
            breaches.push(format!("{token} was sent after it had expired"));
        }
        if let Some(Key(key)) = request.extensions().get() {
            if !self.issuers[key].has(&token) {
                breaches.push(format!("a request for `{key}` was sent with {token}"));
            }
        }
        if let Some(trail) = request.extensions().get::<Trail>() {
            let mut sent = trail.0.lock().unwrap();
            sent.push(token.clone());
            if sent.len() > 2 {
                breaches.push(format!("a request was sent {} times", sent.len()));
            }
        }
        self.lock().breaches.extend(breaches);
        token
    }

    fn answer(&self, token: &str) -> Response<Body> {
        let state = self.lock();
        let rejected = state.rejects.has("everything") || state.rejects.has(token);
        if !rejected && self.issuers.values().all(|issuer| issuer.accepts(token)) {
            return answer(state.answers);
        }
        let mut refusal = answer(state.refusal);
        if let Some(challenge) = &state.challenge {
            let challenge = HeaderValue::from_str(challenge).unwrap();
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        refusal
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let token = api.arrived(&request);
            let latency = api.lock().latency;
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            Ok(api.answer(&token))
        })
    }
}
