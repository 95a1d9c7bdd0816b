//! What holds for any interleaving of requests, refusals, outages and clocks.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use proptest::{collection, prelude::*};
use tokio::{
    task::JoinHandle,
    time::{Instant, advance, sleep, sleep_until},
};
use tower::{Layer, Service};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, FetchContext, Token, TokenCache, TokenError, TokenFetcher,
};

use crate::support::*;

#[derive(Clone, Copy, Debug)]
struct Setup {
    lifetime: Duration,
    issuer_latency: Duration,
    same_token: bool,
    standstills: bool,
    jitter: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Calls an API that accepts what the issuer has not revoked.
    Good,
    /// Calls an API that refuses everything.
    Bad,
    /// Asks the cache, without the layer.
    Bare,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The API takes that long to answer the first attempt of each, and the second.
    Start {
        who: Who,
        callers: usize,
        pace: [Duration; 2],
    },
    /// One that is not finished.
    Drop(usize),
    RevokeAll,
    RejectCurrent,
    RejectOlder(usize),
    Trouble(Trouble),
    Recover,
    /// Timers fire one after the other.
    Wait(Duration),
    /// Until the token in the cache is that old, in thousandths of its lifetime.
    WaitForAge(u32),
    /// All timers fire at once, in a setup with standstills.
    Jump(Duration),
    StepWallClock(i64),
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn setup() -> impl Strategy<Value = Setup> {
    (millis(20_000..600_000), millis(0..3000), any::<(bool, bool, u64)>()).prop_map(
        |(lifetime, issuer_latency, (same_token, standstills, jitter))| Setup {
            lifetime,
            issuer_latency,
            same_token,
            standstills,
            jitter,
        },
    )
}

fn start(who: impl Strategy<Value = Who>) -> impl Strategy<Value = Op> {
    let latency = || prop_oneof![Just(Duration::ZERO), millis(0..2000)];
    (who, 1..5usize, [latency(), latency()]).prop_map(|(who, callers, pace)| Op::Start {
        who,
        callers,
        pace,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let who = prop_oneof![3 => Just(Who::Good), 2 => Just(Who::Bad), 1 => Just(Who::Bare)];
    let trouble = prop_oneof![
        Just(Trouble::Down),
        Just(Trouble::Refuses),
        Just(Trouble::Hangs),
        Just(Trouble::Panics),
        (1..400u64).prop_map(|after| Trouble::RetryAfter(seconds(after))),
    ];
    prop_oneof![
        8 => start(who),
        1 => any::<usize>().prop_map(Op::Drop),
        1 => Just(Op::RevokeAll),
        1 => Just(Op::RejectCurrent),
        1 => any::<usize>().prop_map(Op::RejectOlder),
        1 => trouble.prop_map(Op::Trouble),
        2 => Just(Op::Recover),
        4 => millis(0..3000).prop_map(Op::Wait),
        2 => millis(0..60_000).prop_map(Op::Wait),
        3 => (700..1100u32).prop_map(Op::WaitForAge),
        1 => millis(0..600_000).prop_map(Op::Jump),
        1 => (-1000..1000i64).prop_map(Op::StepWallClock),
    ]
}

/// Many refusals, and nothing else that would have a token fetched.
fn refusal() -> impl Strategy<Value = Op> {
    let who = prop_oneof![3 => Just(Who::Good), 3 => Just(Who::Bad), 1 => Just(Who::Bare)];
    prop_oneof![
        12 => start(who),
        1 => any::<usize>().prop_map(Op::Drop),
        1 => Just(Op::RevokeAll),
        1 => any::<usize>().prop_map(Op::RejectOlder),
        10 => millis(0..1000).prop_map(Op::Wait),
    ]
}

/// A token that came from the issuer.
struct Landed {
    began: Instant,
    wall_began: SystemTime,
    at: Instant,
    lifetime: Duration,
}

impl Landed {
    fn age(&self, state: &State) -> (Duration, Duration) {
        let wall_age = state.wall().duration_since(self.wall_began).unwrap_or_default();
        (self.began.elapsed(), wall_age)
    }
}

/// What there is to know about the tokens, and what went wrong with them.
#[derive(Clone)]
struct Witness {
    issuer: Issuer,
    state: Arc<Mutex<State>>,
}

struct State {
    start: Instant,
    wall_offset: i64,
    stepped: Instant,
    tokens: BTreeMap<String, Landed>,
    refused: BTreeSet<String>,
    refused_by_good: u32,
    revocations: u32,
    wrong: Vec<String>,
}

impl Witness {
    fn new(issuer: Issuer) -> Self {
        let now = Instant::now();
        let state = State {
            start: now,
            wall_offset: 0,
            stepped: now - seconds(1),
            tokens: BTreeMap::new(),
            refused: BTreeSet::new(),
            refused_by_good: 0,
            revocations: 0,
            wrong: Vec::new(),
        };
        Self { issuer, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wall(&self) -> SystemTime {
        self.lock().wall()
    }

    fn step_wall_clock(&self, by: i64) {
        let mut state = self.lock();
        state.wall_offset += by;
        state.stepped = Instant::now();
    }

    fn landed(&self, token: &Token, began: Instant, wall_began: SystemTime) {
        let landed =
            Landed { began, wall_began, at: Instant::now(), lifetime: token.lifetime().unwrap() };
        self.lock().tokens.insert(token.expose().to_owned(), landed);
    }

    fn refused(&self, token: &str) {
        self.lock().refused.insert(token.to_owned());
    }

    fn began(&self, token: Option<Token>) -> Option<Instant> {
        Some(self.lock().tokens.get(token?.expose())?.began)
    }

    /// A token is used within its lifetime, or by those who waited for it at the moment it came.
    /// It has expired on the wall clock too, at most a second after that was moved.
    fn used(&self, token: &str) {
        let mut state = self.lock();
        let Some(landed) = state.tokens.get(token) else {
            return state.wrong(format!("{token} came from nowhere"));
        };
        let (age, wall_age) = landed.age(&state);
        let moved_lately = state.stepped.elapsed() < seconds(1);
        let expired = age >= landed.lifetime || wall_age >= landed.lifetime && !moved_lately;
        if expired && landed.at.elapsed() > Duration::ZERO {
            state.wrong(format!("{token} was used when it was {age:?} and {wall_age:?} old"));
        }
    }

    /// A token is replaced before its time when an API has refused it, and for no other reason.
    fn replaced(&self, token: &str) {
        let mut state = self.lock();
        let Some(landed) = state.tokens.get(token) else {
            return state.wrong(format!("{token} came from nowhere"));
        };
        let (age, wall_age) = landed.age(&state);
        if age.max(wall_age) < landed.lifetime && !state.refused.contains(token) {
            state.wrong(format!("{token} was replaced, and nobody had refused it"));
        }
    }

    /// The cache has a token that the good API accepts.
    fn is_served(&self, cache: &TokenCache) -> bool {
        cache.peek().is_some_and(|token| self.issuer.accepts(token.expose()))
    }
}

impl State {
    fn wall(&self) -> SystemTime {
        let base = SystemTime::UNIX_EPOCH + seconds(1_000_000_000) + self.start.elapsed();
        let offset = seconds(self.wall_offset.unsigned_abs());
        if self.wall_offset < 0 { base - offset } else { base + offset }
    }

    fn wrong(&mut self, what: String) {
        let at = self.start.elapsed();
        self.wrong.push(format!("at {at:?}: {what}"));
    }
}

impl TokenFetcher for Witness {
    type Error = TokenError;

    async fn fetch(&self, context: FetchContext) -> Result<Token, TokenError> {
        let (began, wall_began) = (Instant::now(), self.wall());
        if let Some(token) = context.rejected() {
            self.replaced(token.expose());
        }
        let token = self.issuer.fetch(context).await?;
        self.landed(&token, began, wall_began);
        Ok(token)
    }
}

/// An API under observation.
#[derive(Clone)]
struct Observed {
    api: Api,
    good: bool,
    witness: Witness,
}

impl Service<Request<Body>> for Observed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.api.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let value = request.headers()[AUTHORIZATION].to_str().unwrap();
        let token = value.strip_prefix("Bearer ").unwrap().to_owned();
        self.witness.used(&token);
        let (good, witness) = (self.good, self.witness.clone());
        let latency = request.extensions().get().map_or(Duration::ZERO, Pace::next);
        let response = self.api.clone().latency(latency).call(request);
        Box::pin(async move {
            let response = response.await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                witness.refused(&token);
                witness.lock().refused_by_good += u32::from(good);
            }
            Ok(response)
        })
    }
}

/// How long the API takes to answer each attempt of one request.
#[derive(Clone)]
struct Pace {
    latencies: [Duration; 2],
    attempts: Arc<AtomicUsize>,
}

impl Pace {
    fn new(latencies: [Duration; 2]) -> Self {
        Self { latencies, attempts: Arc::default() }
    }

    fn next(&self) -> Duration {
        self.latencies[self.attempts.fetch_add(1, Ordering::Relaxed)]
    }
}

struct World {
    setup: Setup,
    issuer: Issuer,
    witness: Witness,
    cache: TokenCache,
    good: BearerAuth<Observed>,
    bad: BearerAuth<Observed>,
    callers: Vec<JoinHandle<()>>,
    newest: usize,
    steps: u32,
    standstills: u32,
    rejections: u32,
    outages: u32,
    in_trouble: Option<Instant>,
    trouble: Duration,
}

impl World {
    fn new(setup: Setup) -> Self {
        let issuer = Issuer::of(setup.lifetime).latency(setup.issuer_latency);
        issuer.lock().same_token = setup.same_token;
        let witness = Witness::new(issuer.clone());
        let wall = witness.clone();
        let cache = TokenCache::builder().wall_clock(move || wall.wall()).build(witness.clone());
        let client = |api: Api, good| {
            let inner = Observed { api, good, witness: witness.clone() };
            BearerAuthLayer::new(cache.clone()).layer(inner)
        };
        let good = client(Api::of(&issuer), true);
        let bad = client(Api::of(&issuer).rejecting_everything(), false);
        Self {
            setup,
            issuer,
            witness,
            cache,
            good,
            bad,
            callers: Vec::new(),
            newest: 0,
            steps: 0,
            standstills: 0,
            rejections: 0,
            outages: 0,
            in_trouble: None,
            trouble: Duration::ZERO,
        }
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::Start { who, callers, pace } => {
                (0..callers).for_each(|_| self.start(who, Pace::new(pace)));
            }
            Op::Drop(nth) => {
                let waiting: Vec<_> = self.callers.iter().filter(|it| !it.is_finished()).collect();
                if let Some(nth) = nth.checked_rem(waiting.len()) {
                    waiting[nth].abort();
                }
            }
            Op::RevokeAll => {
                self.witness.lock().revocations += 1;
                self.issuer.revoke_all();
            }
            Op::RejectCurrent => {
                if let Some(token) = self.cache.peek() {
                    self.rejections += 1;
                    self.witness.refused(token.expose());
                    self.cache.reject(&token);
                }
            }
            Op::RejectOlder(nth) => self.reject_older(nth),
            Op::Trouble(trouble) => {
                self.recover();
                self.outages += 1;
                self.in_trouble = Some(Instant::now());
                self.issuer.trouble(trouble);
            }
            Op::Recover => self.recover(),
            Op::Wait(time) => sleep(time).await,
            Op::WaitForAge(thousandths) => {
                let age = self.setup.lifetime * thousandths / 1000;
                if let Some(began) = self.witness.began(self.cache.peek()) {
                    sleep_until(began + age).await;
                }
            }
            Op::Jump(time) if self.setup.standstills => {
                self.standstills += 1;
                advance(time).await;
            }
            Op::Jump(time) => sleep(time).await,
            Op::StepWallClock(by) => {
                self.steps += 1;
                settle().await;
                self.witness.step_wall_clock(by);
            }
        }
        if let Op::Wait(_) | Op::WaitForAge(_) | Op::Jump(_) = op {
            settle().await;
        }
        self.look_back();
    }

    fn recover(&mut self) {
        self.issuer.trouble(None);
        self.trouble += self.in_trouble.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    fn start(&mut self, who: Who, pace: Pace) {
        let (witness, cache) = (self.witness.clone(), self.cache.clone());
        let (mut client, uri) = match who {
            Who::Good | Who::Bare => (self.good.clone(), "https://good.example/"),
            Who::Bad => (self.bad.clone(), "https://bad.example/"),
        };
        let mut request = get(uri);
        request.extensions_mut().insert(pace);
        self.callers.push(tokio::spawn(async move {
            let started = Instant::now();
            let before = (witness.is_served(&cache), witness.lock().revocations);
            let error = match who {
                Who::Bare => match cache.token().await {
                    Ok(token) => return witness.used(token.expose()),
                    Err(error) => Some(error.into()),
                },
                _ => match send(&mut client, request).await {
                    Ok(response) if response.status() == StatusCode::OK => return,
                    Ok(_) if who != Who::Good => return,
                    Ok(_) => None,
                    Err(error) => Some(error),
                },
            };
            let after = (witness.is_served(&cache), witness.lock().revocations);
            if let Some(error) = error {
                // A clock that is put back revives a token, too late for those who wait.
                let token = cache.peek().filter(|_| witness.lock().stepped < started);
                if let Some(token) = token {
                    let token = token.expose();
                    witness.lock().wrong(format!("{who:?} got an error beside {token}: {error}"));
                }
            } else if before.0 && before == after {
                witness.lock().wrong("the good API refused somebody".to_owned());
            }
        }));
    }

    /// A refusal that comes late changes nothing for the token that is in use by now.
    fn reject_older(&mut self, nth: usize) {
        let at_once = || match tokio_test::task::spawn(self.cache.token()).poll() {
            Poll::Ready(Ok(token)) => Some(token.expose().to_owned()),
            _ => None,
        };
        let current = self.cache.peek().map(|token| token.expose().to_owned());
        let mut older: Vec<_> = self.witness.lock().tokens.keys().cloned().collect();
        older.retain(|token| Some(token) != current.as_ref());
        let Some(nth) = nth.checked_rem(older.len()) else { return };
        let before = at_once();
        self.witness.refused(&older[nth]);
        self.cache.reject(&Token::bearer(&older[nth]).unwrap());
        let after = at_once();
        if before != after {
            let late = &older[nth];
            let what = format!("a refusal of {late} turned {before:?} into {after:?}");
            self.witness.lock().wrong(what);
        }
    }

    /// Tokens only ever get newer.
    fn look_back(&mut self) {
        let Some(token) = self.cache.peek() else { return };
        let number = token.expose()[1..].parse().unwrap();
        if number < self.newest {
            let newest = self.newest;
            self.witness.lock().wrong(format!("t{number} came back after t{newest}"));
        }
        self.newest = number;
    }

    /// How often the issuer may be asked.
    ///
    /// - Once to begin with, and whenever four fifths of a lifetime are over. An issuer that repeats
    ///   its token is asked again when a tenth is left of what it has stated last, and in the end
    ///   after a pause of 1 s. In 600 s that is with 120, 12 and 1 s left: not more than 5 times.
    /// - Once for each step of the wall clock, and for each standstill that a fetch is lost to.
    /// - Once whenever the current token is revoked, or rejected from outside.
    /// - For the API that refuses everything, a handful. It starts over when the good API, after a
    ///   revocation, accepts the token that was fetched for the bad one, which is good for 5 more
    ///   in half a minute. A fetch for another's rejection hides how the bad one's token fared,
    ///   which is good for 1 more.
    /// - In an outage once a second, as long as a failure is remembered. A token that is due has a
    ///   back-off instead. That is full jitter, so it can be shorter, but not often, and another
    ///   one a second has room for it. An outage can fail a fetch that began in its last moment.
    fn bound(&self, elapsed: Duration) -> u32 {
        let lifetimes = elapsed.as_secs_f64() / (0.8 * self.setup.lifetime.as_secs_f64());
        let renewals = 1 + lifetimes as u32 * if self.setup.same_token { 5 } else { 1 };
        let state = self.witness.lock();
        let forced = self.rejections + state.revocations;
        let bad = handful(elapsed) + 5 * state.refused_by_good + forced;
        let outages = 2 * self.outages + 2 * self.trouble.as_secs() as u32;
        renewals + self.steps + self.standstills + forced + bad + outages
    }
}

/// Lets spawned tasks run without moving time.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn run(setup: Setup, ops: &[Op]) -> Result<(), TestCaseError> {
    fastrand::seed(setup.jitter);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let start = Instant::now();
        let mut world = World::new(setup);
        for op in ops {
            world.run(*op).await;
        }

        // A fetch takes 10 s at the most, and a request waits for two of them and for two answers.
        world.recover();
        sleep(seconds(30)).await;
        let hanging = world.callers.iter().filter(|caller| !caller.is_finished()).count();
        prop_assert_eq!(hanging, 0, "hanging requests");

        let (fetches, bound) = (world.issuer.fetches() as u32, world.bound(start.elapsed()));
        prop_assert!(fetches <= bound, "{fetches} fetches, and {bound} would have been enough");

        for caller in &mut world.callers {
            if let Err(error) = caller.await {
                prop_assert!(error.is_cancelled(), "{}", error);
            }
        }
        let wrong = std::mem::take(&mut world.witness.lock().wrong);
        prop_assert!(wrong.is_empty(), "{wrong:#?}");
        // A fetch that is overdue after a standstill is taken for lost.
        let at_once = 1 + world.standstills as usize;
        prop_assert!(world.issuer.lock().most_in_flight <= at_once, "two fetches at once");

        // What the issuer asks for is honoured for a minute.
        sleep(seconds(60)).await;
        let status = send(&mut world.good, get("https://good.example/")).await.unwrap().status();
        prop_assert_eq!(status, StatusCode::OK, "in the end");
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_comes_the_cache_keeps_its_promises(
        setup in setup(), ops in collection::vec(op(), 1..60),
    ) {
        run(setup, &ops)?;
    }

    #[test]
    fn refusals_cost_the_issuer_a_handful_of_fetches(
        setup in setup(), ops in collection::vec(refusal(), 1..100),
    ) {
        run(setup, &ops)?;
    }
}
