//! A client, an issuer and an API on this machine. The layer fetches, renews and replaces tokens between
//! them.
//!
//! `cargo run --example quickstart` prints a timeline and a table. It fails if a figure in the table is
//! not as expected.

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{task::JoinSet, time::Instant};
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, ClientCredentials, TokenCache,
    testing::{Answer, AuthorizationServer, ProtectedApi},
};

const LIFETIME: Duration = Duration::from_secs(6);
/// Of so short a lifetime, the default leaves next to none of it for a renewal behind the requests.
const MARGIN: Duration = Duration::from_millis(300);
const ISSUER_LATENCY: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_millis(50);

type Http = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let issuer = AuthorizationServer::start().await?;
    issuer.client("orders-service", "s3cr3t");
    issuer.token_lifetime(LIFETIME);
    issuer.latency(ISSUER_LATENCY);
    let api = ProtectedApi::start(&issuer).await?;
    let mut show = Show::new(issuer, api);

    show.say("a token lives for 6 s, and the issuer takes 200 ms to give one");
    first_fetch(&mut show).await?;
    let client = show.client()?;
    cold_burst(&mut show, &client).await?;
    refresh_ahead(&mut show, &client).await?;
    revocation(&mut show, &client).await?;
    outage(&mut show, &client).await?;
    Ok(show.table())
}

async fn first_fetch(show: &mut Show) -> Result<(), BoxError> {
    let client = show.client()?;
    let took = show.request(&client).await?;
    show.say(format!("the first request waits for the token: {took:.1?}"));
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        slowest = slowest.max(show.request(&client).await?);
    }
    show.say(format!("20 more use it, the slowest took {slowest:.1?}"));
    show.row("first fetch, then hits", Expected { requests: 21, fetches: 1..=1, replays: 0 });
    Ok(())
}

async fn cold_burst(show: &mut Show, client: &Protected) -> Result<(), BoxError> {
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (client, request) = (client.clone(), show.get()?);
        callers.spawn(async move { client.oneshot(request).await.map(|answer| answer.status()) });
    }
    while let Some(status) = callers.join_next().await {
        show.count(status??);
    }
    show.say("100 requests at once on an empty cache: they share one fetch");
    show.row("100 at once, empty cache", Expected { requests: 100, fetches: 1..=1, replays: 0 });
    Ok(())
}

async fn refresh_ahead(show: &mut Show, client: &Protected) -> Result<(), BoxError> {
    let mut slowest = Duration::ZERO;
    while show.fetches() == 0 && show.running() < LIFETIME {
        slowest = slowest.max(show.request(client).await?);
        tokio::time::sleep(EVERY).await;
    }
    tokio::time::sleep(ISSUER_LATENCY).await;
    slowest = slowest.max(show.request(client).await?);
    show.say(format!(
        "the token was renewed before it expired; nobody waited, the slowest took {slowest:.1?}"
    ));
    if slowest >= ISSUER_LATENCY {
        show.wrong.push("a request waited for the refresh".into());
    }
    let requests = show.requests;
    show.row("refresh ahead of expiry", Expected { requests, fetches: 1..=1, replays: 0 });
    Ok(())
}

async fn revocation(show: &mut Show, client: &Protected) -> Result<(), BoxError> {
    show.issuer.revoke_all();
    show.say("every token is revoked");
    let took = show.request(client).await?;
    show.say(format!(
        "the next request is refused with 401, gets a new token and is sent once more: {took:.1?}"
    ));
    show.row("a revocation", Expected { requests: 1, fetches: 1..=1, replays: 1 });
    Ok(())
}

async fn outage(show: &mut Show, client: &Protected) -> Result<(), BoxError> {
    show.issuer.latency(ISSUER_LATENCY / 4);
    show.issuer.answer_always(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    show.say("the issuer goes down: 503 to everything");
    while show.running() < LIFETIME - MARGIN {
        show.request(client).await?;
        tokio::time::sleep(EVERY).await;
    }
    show.say(format!("it was asked {} times; the token served on", show.fetches()));
    show.issuer.answer_normally();
    show.say("the issuer is back");
    while show.running() < LIFETIME.mul_f64(1.3) {
        show.request(client).await?;
        tokio::time::sleep(EVERY).await;
    }
    let requests = show.requests;
    show.row("an outage of the issuer", Expected { requests, fetches: 2..=12, replays: 0 });
    Ok(())
}

type Protected = BearerAuth<Http>;

/// The figures that a row of the table is expected to have.
struct Expected {
    requests: usize,
    fetches: std::ops::RangeInclusive<usize>,
    replays: usize,
}

struct Show {
    issuer: AuthorizationServer,
    api: ProtectedApi,
    http: Http,
    started: Instant,
    row_started: Instant,
    rows: Vec<String>,
    wrong: Vec<String>,
    requests: usize,
    failures: usize,
    fetches_before: usize,
    arrivals_before: usize,
}

impl Show {
    fn new(issuer: AuthorizationServer, api: ProtectedApi) -> Self {
        Self {
            issuer,
            api,
            http: Client::builder(TokioExecutor::new()).build_http(),
            started: Instant::now(),
            row_started: Instant::now(),
            rows: Vec::new(),
            wrong: Vec::new(),
            requests: 0,
            failures: 0,
            fetches_before: 0,
            arrivals_before: 0,
        }
    }

    /// A client with a cache of its own.
    fn client(&self) -> Result<Protected, BoxError> {
        let credentials = ClientCredentials::builder(
            self.http.clone(),
            self.issuer.token_endpoint(),
            "orders-service",
            "s3cr3t",
        )
        .build()?;
        let tokens = TokenCache::builder().expiry_margin(MARGIN).build(credentials);
        Ok(BearerAuthLayer::new(tokens).layer(self.http.clone()))
    }

    fn get(&self) -> Result<Request<Full<Bytes>>, BoxError> {
        Ok(Request::get(self.api.url("/orders")).body(Full::default())?)
    }

    async fn request(&mut self, client: &Protected) -> Result<Duration, BoxError> {
        let started = Instant::now();
        let mut client = client.clone();
        let answer = client.ready().await?.call(self.get()?).await?;
        self.count(answer.status());
        Ok(started.elapsed())
    }

    fn count(&mut self, status: StatusCode) {
        self.requests += 1;
        if status != StatusCode::OK {
            self.failures += 1;
        }
    }

    fn fetches(&self) -> usize {
        self.issuer.requests().len() - self.fetches_before
    }

    fn replays(&self) -> usize {
        self.api.requests().len() - self.arrivals_before - self.requests
    }

    fn running(&self) -> Duration {
        self.row_started.elapsed()
    }

    fn say(&self, what: impl AsRef<str>) {
        println!("{:>7.3} s  {}", self.started.elapsed().as_secs_f64(), what.as_ref());
    }

    /// Ends one part of the example, and adds its row to the table.
    fn row(&mut self, name: &str, expected: Expected) {
        let (requests, fetches, replays) = (self.requests, self.fetches(), self.replays());
        let failures = self.failures;
        self.rows.push(format!("{name:<26} {requests:>8} {fetches:>8} {replays:>8} {failures:>9}"));
        let as_expected = requests == expected.requests
            && expected.fetches.contains(&fetches)
            && replays == expected.replays
            && failures == 0;
        if !as_expected {
            self.wrong.push(format!("{name}: not what it should be"));
        }
        self.fetches_before += fetches;
        self.arrivals_before = self.api.requests().len();
        self.requests = 0;
        self.failures = 0;
        self.row_started = Instant::now();
    }

    fn table(&self) -> ExitCode {
        println!();
        println!(
            "{:<26} {:>8} {:>8} {:>8} {:>9}",
            "", "requests", "fetches", "replays", "failures"
        );
        for row in &self.rows {
            println!("{row}");
        }
        for wrong in &self.wrong {
            println!("wrong: {wrong}");
        }
        if self.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
