//! Requests, one by one or many at a time, and what becomes of them.

use std::{collections::HashMap, future::poll_fn, task::Poll, time::Duration};

use http::{Request, Response, header};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tower::Service;
use tower_bearer::{Anonymous, BoxError, NotReplayed, TokenError};

use super::{
    api::{Key, Trail},
    quantity::Span,
    step::Load,
};
use crate::support::{Body, get, send};

/// When a request is taken to be lost.
const HUNG: Duration = Duration::from_secs(3600);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    pub verdict: String,
    pub sent: Vec<String>,
    pub waited: Duration,
    pub retry_after: Option<Duration>,
}

pub type Tally = HashMap<Outcome, usize>;

/// Starts `callers` requests at each beat, and returns when all have ended.
pub async fn run<S>(client: S, callers: usize, load: Load) -> Tally
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let start = Instant::now();
    let mut tally = Tally::new();
    let mut pending = JoinSet::new();
    for (beat, time) in load.beat.times().enumerate() {
        sleep_until(start + time).await;
        for caller in 0..callers {
            let request = request(&load, beat * callers + caller);
            let mut attempt = Box::pin(attempt(client.clone(), request, load.patience));
            match poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await {
                Poll::Ready(outcome) => *tally.entry(outcome).or_default() += 1,
                Poll::Pending => drop(pending.spawn(attempt)),
            }
        }
    }
    sleep_until(start + load.beat.duration()).await;
    while let Some(outcome) = pending.join_next().await {
        *tally.entry(outcome.expect("a request does not panic")).or_default() += 1;
    }
    tally
}

async fn attempt<S>(mut client: S, mut request: Request<Body>, patience: Option<Span>) -> Outcome
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
{
    let trail = Trail::default();
    request.extensions_mut().insert(trail.clone());
    let start = Instant::now();
    let limit = patience.map_or(HUNG, |patience| patience.0);
    let (verdict, retry_after) = match timeout(limit, send(&mut client, request)).await {
        Ok(Ok(response)) => of_response(&response),
        Ok(Err(error)) => match error.downcast_ref::<TokenError>() {
            Some(error) => (verdict(error), error.retry_after()),
            None => (error.to_string(), None),
        },
        Err(_) if patience.is_some() => ("gave up".into(), None),
        Err(_) => ("hung".into(), None),
    };
    Outcome { verdict, sent: trail.tokens(), waited: start.elapsed(), retry_after }
}

fn request(load: &Load, n: usize) -> Request<Body> {
    let mut request = match &load.uri {
        Some(uri) => get(&uri.replace("{n}", &n.to_string())),
        None => get(&format!("https://{}.example.com/", load.to)),
    };
    if let Some(value) = &load.authorization {
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
    }
    if let Some(key) = &load.key {
        request.extensions_mut().insert(Key(key.clone()));
    }
    if load.anonymous {
        request.extensions_mut().insert(Anonymous);
    }
    request
}

fn of_response(response: &Response<Body>) -> (String, Option<Duration>) {
    let status = response.status().as_u16();
    match response.extensions().get::<NotReplayed>() {
        None if status == 200 => ("ok".into(), None),
        None => (status.to_string(), None),
        Some(NotReplayed::Body) => (format!("{status} body"), None),
        Some(NotReplayed::NoToken(error)) => (format!("{status} no_token"), error.retry_after()),
        Some(NotReplayed::SameToken) => (format!("{status} same_token"), None),
        Some(NotReplayed::Cooldown) => (format!("{status} cooldown"), None),
        Some(other) => (format!("{status} {other}"), None),
    }
}

/// What there is instead of a token.
pub fn verdict(error: &TokenError) -> String {
    let kind = match error {
        error if error.is_timeout() => "timeout",
        error if error.is_refused() => "refused",
        error if error.is_insecure() => "insecure",
        error if error.is_selection() => "unknown",
        error if error.is_transient() => "transient",
        _ => return error.to_string(),
    };
    kind.to_owned()
}
