//! A fleet in paused time: real caches over an issuer and a store in memory, which both have their bad hours.

#![allow(dead_code, unreachable_pub, reason = "the bench and the tests use different parts of it")]

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    runtime,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower_bearer::{FetchContext, Shared, Token, TokenCache, TokenError, TokenFetcher};

use super::faulty_store::{FaultyStore, StoreFault};

const ISSUER_LATENCY: Duration = Duration::from_millis(100);
const STORE_LATENCY: Duration = Duration::from_millis(1);
/// How long an outage is felt after its end.
const AFTERMATH: Duration = Duration::from_secs(10 * 60);

/// What is simulated. Each replica sends a request now and then, and keeps its token fresh.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub replicas: usize,
    pub renewal: Renewal,
    /// Of a token.
    pub lifetime: Duration,
    /// From one request of a replica to its next, on average.
    pub between_requests: Duration,
    pub events: Events,
    pub end: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// One token for all, through a store.
    Shared,
    /// Each replica has its own, and renews it ahead, with jitter.
    Alone,
    /// Each replica has its own, and renews it no sooner than it must: there is nothing to jitter then.
    InStep,
}

/// What happens, counted from the start. `None` if it does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    /// Each replica starts anew, one after the other.
    pub rolling_restart: Option<Span>,
    /// No token is good any more that was issued before.
    pub revocation: Option<Duration>,
    pub store_away: Option<Span>,
    pub issuer_away: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Duration,
    pub to: Duration,
}

/// What it was like.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Token requests in each second, those included that the issuer was away for.
    pub token_requests: Vec<u32>,
    requests: Vec<Spoilt>,
    /// How many requests there were, good ones included.
    pub count: u64,
}

/// A request that had to wait or failed.
#[derive(Clone, Copy, Debug)]
struct Spoilt {
    at: Duration,
    waited: Duration,
    is_failed: bool,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub token_requests: u64,
    /// In a second.
    pub peak: u32,
    pub failed: usize,
    pub longest_wait: Duration,
}

impl Renewal {
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "one for all through a store",
            Self::Alone => "each replica its own",
            Self::InStep => "each replica its own, without jitter",
        }
    }
}

impl Span {
    pub const fn new(from: Duration, length: Duration) -> Self {
        Self { from, to: from.saturating_add(length) }
    }

    pub fn contains(self, at: Duration) -> bool {
        (self.from..self.to).contains(&at)
    }
}

impl Plan {
    /// Runs it on this thread. The same seed draws the same times.
    pub fn run(self, seed: u64) -> Outcome {
        fastrand::seed(seed);
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.expect("a runtime without I/O").block_on(self.simulate())
    }

    async fn simulate(self) -> Outcome {
        let world = World::new(self);
        let mut replicas = JoinSet::new();
        for n in 0..self.replicas {
            replicas.spawn(replica(world.clone(), n));
        }
        if let Some(span) = self.events.store_away {
            sleep_until(world.began + span.from).await;
            world.store.fault(StoreFault::Error);
            sleep_until(world.began + span.to).await;
            world.store.work_normally();
        }
        replicas.join_all().await;
        let seconds = self.end.as_secs() as usize;
        let mut tally = world.tally();
        tally.token_requests.resize(seconds, 0);
        Outcome {
            token_requests: std::mem::take(&mut tally.token_requests),
            requests: std::mem::take(&mut tally.spoilt),
            count: tally.requests,
        }
    }

    /// When the replica starts anew.
    fn restart(self, n: usize) -> Option<Duration> {
        let span = self.events.rolling_restart?;
        Some(span.from + (span.to - span.from).mul_f64(n as f64 / self.replicas as f64))
    }

    /// The parts of the day that a table tells apart. The renewals are those before the restarts.
    pub fn parts(self) -> Vec<(&'static str, Span)> {
        let Events { rolling_restart, revocation, store_away, issuer_away } = self.events;
        let and_after = |span: Span| Span { to: span.to + AFTERMATH, ..span };
        let minute = Duration::from_secs(60);
        let first = rolling_restart.map_or(self.end, |span| span.from);
        let parts = [
            ("cold start", Some(Span { from: Duration::ZERO, to: minute })),
            ("renewals", Some(Span { from: minute, to: first })),
            ("rolling restart", rolling_restart),
            ("revocation", revocation.map(|at| Span::new(at, 2 * minute))),
            ("store away", store_away.map(and_after)),
            ("issuer away", issuer_away.map(and_after)),
            ("all", Some(Span { from: Duration::ZERO, to: self.end })),
        ];
        parts.into_iter().filter_map(|(name, span)| Some((name, span?))).collect()
    }
}

impl Outcome {
    pub fn row(&self, span: Span) -> Row {
        let [from, to] = [span.from, span.to].map(|at| at.as_secs() as usize);
        let seconds = || self.token_requests.iter().take(to).skip(from).copied();
        let spoilt = || self.requests.iter().filter(move |request| span.contains(request.at));
        Row {
            token_requests: seconds().map(u64::from).sum(),
            peak: seconds().max().unwrap_or_default(),
            failed: spoilt().filter(|request| request.is_failed).count(),
            longest_wait: spoilt().map(|request| request.waited).max().unwrap_or_default(),
        }
    }
}

async fn replica(world: Arc<World>, n: usize) {
    let plan = world.plan;
    let mut restart = plan.restart(n).map(|at| world.began + at);
    let mut cache = world.cache();
    let end = world.began + plan.end;
    loop {
        world.request(&cache).await;
        let next = Instant::now() + plan.between_requests.mul_f64(0.5 + fastrand::f64());
        match restart.filter(|at| *at < next) {
            Some(at) => {
                sleep_until(at).await;
                restart = None;
                cache = world.cache();
            }
            None if next < end => sleep_until(next).await,
            None => break,
        }
    }
    // The token is kept fresh to the end.
    sleep_until(end).await;
}

struct World {
    plan: Plan,
    began: Instant,
    store: FaultyStore,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    token_requests: Vec<u32>,
    requests: u64,
    spoilt: Vec<Spoilt>,
}

impl Tally {
    fn count_token_request(&mut self, second: usize) {
        if self.token_requests.len() <= second {
            self.token_requests.resize(second + 1, 0);
        }
        self.token_requests[second] += 1;
    }
}

impl World {
    fn new(plan: Plan) -> Arc<Self> {
        let store = FaultyStore::default();
        store.latency(STORE_LATENCY);
        Arc::new(Self { plan, began: Instant::now(), store, tally: Mutex::default() })
    }

    fn cache(self: &Arc<Self>) -> TokenCache {
        let builder = TokenCache::builder().keep_fresh();
        let issuer = Issuer(self.clone());
        match self.plan.renewal {
            Renewal::Shared => {
                builder.build(Shared::new(issuer, self.store.clone()).name("the fleet"))
            }
            Renewal::Alone => builder.build(issuer),
            Renewal::InStep => builder.refresh_ahead(Duration::ZERO).build(issuer),
        }
    }

    /// One request to an API, and a second attempt if it refuses the token.
    async fn request(&self, cache: &TokenCache) {
        let at = self.began.elapsed();
        let is_good = match cache.token().await {
            Ok(token) if self.accepts(&token) => true,
            Ok(token) => {
                cache.reject(&token);
                cache.token().await.is_ok_and(|token| self.accepts(&token))
            }
            Err(_) => false,
        };
        let waited = self.began.elapsed() - at;
        let mut tally = self.tally();
        tally.requests += 1;
        if !is_good || !waited.is_zero() {
            tally.spoilt.push(Spoilt { at, waited, is_failed: !is_good });
        }
    }

    /// A token is the millisecond at which it was issued.
    fn accepts(&self, token: &Token) -> bool {
        let issued = token.expose().parse().map(Duration::from_millis).expect("one of ours");
        let now = self.began.elapsed();
        now < issued + self.plan.lifetime
            && self.plan.events.revocation.is_none_or(|at| now < at || issued >= at)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no test panics with it")
    }
}

struct Issuer(Arc<World>);

impl TokenFetcher for Issuer {
    type Error = TokenError;

    async fn fetch(&self, _: FetchContext) -> Result<Token, TokenError> {
        let Self(world) = self;
        let asked = world.began.elapsed();
        world.tally().count_token_request(asked.as_secs() as usize);
        if world.plan.events.issuer_away.is_some_and(|span| span.contains(asked)) {
            return Err(TokenError::unavailable("the issuer is away"));
        }
        tokio::time::sleep(ISSUER_LATENCY).await;
        let issued = world.began.elapsed();
        let token = Token::bearer(&issued.as_millis().to_string())?;
        Ok(token.expires_in(world.plan.lifetime))
    }
}
