//! An issuer and an API in memory, for tests in paused time.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fmt::Display,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Full, combinators::UnsyncBoxBody};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_bearer::{BoxError, FetchContext, FetchReason, Token, TokenError, TokenFetcher};

pub type Body = Full<Bytes>;

pub fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

pub fn answer(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::default()).unwrap()
}

/// Readies and calls.
pub async fn send<S, B>(client: &mut S, request: Request<B>) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>>,
{
    client.ready().await?.call(request).await
}

/// A body of any kind.
pub type Boxed = UnsyncBoxBody<Bytes, BoxError>;

/// A body whose frames come when the test sends them.
struct Channel(UnboundedReceiver<Result<Frame<Bytes>, BoxError>>);

/// Dropped, the body ends.
#[derive(Clone)]
pub struct Sender(UnboundedSender<Result<Frame<Bytes>, BoxError>>);

pub fn channel() -> (Sender, Boxed) {
    let (sender, receiver) = unbounded_channel();
    (Sender(sender), Boxed::new(Channel(receiver)))
}

impl Sender {
    pub fn send(&self, data: impl Into<Bytes>) {
        self.frame(Ok(Frame::data(data.into())));
    }

    pub fn frame(&self, frame: Result<Frame<Bytes>, BoxError>) {
        self.0.send(frame).expect("the body is still there");
    }
}

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx)
    }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How many fetches one source of rejections is good for at most when none of them helps: at 0, 1, 3, 7, 15
/// and 31 s, and every 30 s from then on, or less often if tokens live for more than a minute.
pub fn handful(time: Duration) -> u32 {
    match time.as_secs() as u32 {
        seconds @ 0..31 => 1 + (seconds + 1).ilog2(),
        seconds => 6 + (seconds - 31) / 30,
    }
}

/// What the issuer says instead of giving a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Down,
    Refuses,
    RetryAfter(Duration),
    Hangs,
    Panics,
}

/// Gives out `t1`, `t2`, and so on, or with another name in place of `t`.
#[derive(Clone, Default)]
pub struct Issuer {
    state: Arc<Mutex<IssuerState>>,
}

#[derive(Default)]
pub struct IssuerState {
    pub lifetime: Option<Duration>,
    pub latency: Duration,
    pub trouble: Option<Trouble>,
    pub same_token: bool,
    /// A new token ends all older ones.
    pub one_token: bool,
    pub reasons: Vec<FetchReason>,
    pub rejected: Vec<String>,
    pub claims: Vec<Option<String>>,
    pub in_flight: usize,
    pub most_in_flight: usize,
    name: Option<String>,
    issued: usize,
    current: Option<(String, Instant)>,
    revoked: HashSet<String>,
    stated: HashMap<String, Stated>,
}

/// When a token came, and until when it is good, counted from before it was asked for.
#[derive(Clone, Copy)]
struct Stated {
    landed: Instant,
    expiry: Instant,
}

impl Issuer {
    pub fn of(lifetime: Duration) -> Self {
        let issuer = Self::default();
        issuer.lock().lifetime = Some(lifetime);
        issuer
    }

    pub fn named(name: &str) -> Self {
        let issuer = Self::default();
        issuer.lock().name = Some(name.to_owned());
        issuer
    }

    pub fn latency(self, latency: Duration) -> Self {
        self.lock().latency = latency;
        self
    }

    pub fn lock(&self) -> MutexGuard<'_, IssuerState> {
        self.state.lock().unwrap()
    }

    pub fn trouble(&self, trouble: impl Into<Option<Trouble>>) {
        self.lock().trouble = trouble.into();
    }

    pub fn fetches(&self) -> usize {
        self.lock().reasons.len()
    }

    pub fn revoke(&self, token: &str) {
        let mut state = self.lock();
        state.revoked.insert(token.into());
        state.current = None;
    }

    pub fn revoke_all(&self) {
        let issued = self.lock().issued;
        for n in 1..=issued {
            let token = self.lock().token(n);
            self.revoke(&token);
        }
    }

    pub fn accepts(&self, token: &str) -> bool {
        !self.lock().revoked.contains(token)
    }

    /// Whether the token is one of those that it gives out, sooner or later.
    pub fn has(&self, token: &str) -> bool {
        token == self.lock().token(token.trim_start_matches(|c: char| !c.is_ascii_digit()))
    }

    /// Those who waited for the token may use it at the moment that it comes, whatever its expiry.
    pub fn has_expired(&self, token: &str, now: Instant) -> bool {
        let stated = self.lock().stated.get(token).copied();
        stated.is_some_and(|stated| now >= stated.expiry && now > stated.landed)
    }
}

impl IssuerState {
    /// The next token is the one after this.
    pub fn number_from(&mut self, issued: usize) {
        self.issued = issued;
    }

    fn token(&self, n: impl Display) -> String {
        format!("{}{n}", self.name.as_deref().unwrap_or("t"))
    }

    fn states(&mut self, token: &str, began: Instant, lifetime: Duration) {
        if let Some(expiry) = began.checked_add(lifetime) {
            self.stated.insert(token.into(), Stated { landed: Instant::now(), expiry });
        }
    }
}

struct Under(Issuer);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

impl TokenFetcher for Issuer {
    type Error = TokenError;

    async fn fetch(&self, context: FetchContext) -> Result<Token, TokenError> {
        let began = Instant::now();
        let (latency, trouble) = {
            let mut state = self.lock();
            state.reasons.push(context.reason());
            state.rejected.extend(context.rejected().map(|token| token.expose().to_owned()));
            state.claims.push(context.claims().map(str::to_owned));
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            (state.latency, state.trouble)
        };
        let _under = Under(self.clone());
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match trouble {
            None => {}
            Some(Trouble::Down) => return Err(TokenError::unavailable("issuer is down")),
            Some(Trouble::Refuses) => return Err(TokenError::refused("bad client")),
            Some(Trouble::RetryAfter(delay)) => {
                return Err(TokenError::unavailable("busy").retry_in(delay));
            }
            Some(Trouble::Hangs) => std::future::pending().await,
            // A panic all the same, but one that prints nothing.
            Some(Trouble::Panics) => std::panic::resume_unwind(Box::new("a bug in the fetcher")),
        }
        let now = Instant::now();
        let mut state = self.lock();
        if state.same_token {
            if let Some((token, expiry)) = state.current.clone().filter(|(_, e)| *e > now) {
                let left = Duration::from_secs((expiry - now).as_secs());
                state.states(&token, began, left);
                return Ok(Token::bearer(&token)?.expires_in(left));
            }
        }
        if state.one_token {
            let older = (1..=state.issued).map(|n| format!("t{n}"));
            state.revoked = older.collect();
        }
        state.issued += 1;
        let token = state.token(state.issued);
        let mut fetched = Token::bearer(&token)?;
        if let Some(lifetime) = state.lifetime {
            fetched = fetched.expires_in(lifetime);
            state.states(&token, began, lifetime);
            state.current = now.checked_add(lifetime).map(|expiry| (token, expiry));
        }
        Ok(fetched)
    }
}

/// Answers 200 to a token that its issuer has not revoked, and 401 to everything else.
#[derive(Clone)]
pub struct Api {
    issuer: Issuer,
    state: Arc<Mutex<ApiState>>,
}

#[derive(Default)]
struct ApiState {
    rejects_everything: bool,
    latency: Duration,
    seen: Vec<String>,
}

impl Api {
    pub fn of(issuer: &Issuer) -> Self {
        Self { issuer: issuer.clone(), state: Arc::default() }
    }

    pub fn rejecting_everything(self) -> Self {
        self.state.lock().unwrap().rejects_everything = true;
        self
    }

    pub fn latency(self, latency: Duration) -> Self {
        self.state.lock().unwrap().latency = latency;
        self
    }

    /// The tokens that came, in order.
    pub fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Answering(Box::pin(async move {
            let values: Vec<_> = request.headers().get_all("authorization").iter().collect();
            let token = match values[..] {
                [value] => value.to_str().unwrap().strip_prefix("Bearer ").unwrap_or("").to_owned(),
                _ => String::new(),
            };
            let (latency, rejects_everything) = {
                let mut state = api.state.lock().unwrap();
                state.seen.push(token.clone());
                (state.latency, state.rejects_everything)
            };
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let good = !token.is_empty() && !rejects_everything && api.issuer.accepts(&token);
            let status = if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            Ok(answer(status.as_u16()))
        }))
    }
}

/// Has a name because a `dyn` that is in sight keeps the future of an async block from being `Send`
/// where that goes through a generic function and a `Buffer` (rust#110338).
pub struct Answering(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>);

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
