//! One fetch: does what the protocol says, and measures the time.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::Ordering::Relaxed,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{
    Shared,
    entry::Entry,
    guarded::{Failure, guarded},
    need::{Need, Validity},
    protocol::{Answer, End, Event, Found, Lease, Origin, Protocol, Step},
    seal::Seal,
    store::TokenStore,
};
use crate::{
    error::TokenError,
    fetcher::{FetchContext, TokenFetcher},
    jwt::crypto::random_bits,
    observe::{self, CacheEvent},
    secret::Redactor,
    token::Token,
};

const LEASE: Duration = Duration::from_secs(3);
const PROLONG_EVERY: Duration = Duration::from_secs(1);

/// How long a token is kept that does not expire, and how long one at most that does.
const KEEP_FOREVER: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The shortest time that stores can count.
const SHORTEST_KEPT: Duration = Duration::from_millis(1);

/// The part of the fetch timeout that the issuer has if there is something to fall back to.
const FOR_ISSUER: f64 = 0.875;

/// Others are waited for as if the fetch timeout were no longer than this.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// A fetch under way.
pub(super) struct Fetch<'a, F, S> {
    shared: &'a Shared<F, S>,
    context: FetchContext,
    need: Need,
    began: Instant,
    /// Who has the lock, if this fetch has it. One name for all fetches of a process would let a late
    /// operation of a fetch that was dropped change what is another's.
    owner: String,
    /// When the lock was asked for, at last.
    locked_at: Instant,
}

/// Where the token lies, and with what it is sealed.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: &'a str,
    pub(super) seal: Option<&'a Seal>,
}

/// A token, and how long it is good.
#[derive(Clone)]
struct Candidate {
    token: Token,
    validity: Validity,
    /// What is to be stored of it.
    entry: Bytes,
}

impl<'a, F: TokenFetcher, S: TokenStore> Fetch<'a, F, S> {
    pub(super) fn start(shared: &'a Shared<F, S>, context: FetchContext) -> Self {
        let (need, began) = (Need::of(&context), Instant::now());
        // No other process has it, not even one that was forked from this one.
        let owner = format!("{:032x}", u128::from_ne_bytes(random_bits()));
        Self { shared, need, context, began, owner, locked_at: began }
    }

    pub(super) async fn run(mut self, place: Place<'_>) -> Result<Token, TokenError> {
        let is_alone =
            self.shared.are_bound.load(Relaxed) || self.shared.breaker().is_open(self.began);
        let (mut protocol, mut step) = match is_alone {
            true => Protocol::start_alone(),
            false => Protocol::start(self.patience()),
        };
        loop {
            let event = match step {
                Step::Load => self.load(place).await.map_or(Event::StoreFailed, Event::Loaded),
                Step::Lock => self.lock(place).await.map_or(Event::StoreFailed, Event::Locked),
                Step::Ask(lease) => {
                    let (answer, lease) = self.ask(place, lease, protocol.has_fallback()).await;
                    Event::Asked(answer, lease)
                }
                Step::Store(candidate) => {
                    let stored = self.store(place, candidate).await;
                    stored.map_or(Event::StoreFailed, Event::Stored)
                }
                Step::Unlock => {
                    let unlocked = self.unlock(place).await;
                    unlocked.map_or(Event::StoreFailed, |()| Event::Unlocked)
                }
                Step::Pause(pause) => {
                    tokio::time::sleep(pause).await;
                    Event::Paused
                }
                Step::End(end) => return self.end(end),
            };
            step = protocol.next(event, self.began.elapsed(), fastrand::f64());
        }
    }

    /// How long others are waited for. Drawn at random, so that not all processes ask the issuer at once if it
    /// is the store that holds them up.
    fn patience(&self) -> Duration {
        let timeout = self.context.fetch_timeout().min(LONGEST_PATIENCE);
        timeout.mul_f64(0.5 + fastrand::f64() / 4.0)
    }

    async fn load(&self, place: Place<'_>) -> Option<Found<Candidate>> {
        // What remains may be as of the moment at which the store was asked.
        let asked = self.began.elapsed();
        let load = async { self.shared.store.load(place.key).await };
        let loaded = self.operate("load", None, load).await?;
        let Some(loaded) = loaded else { return Some(Found::Nothing) };
        let entry = match Entry::read(&loaded.value, place.key, place.seal) {
            Ok(entry) => entry,
            Err(ignored) => {
                self.observe(CacheEvent::StoreEntryIgnored { reason: ignored.name() });
                return Some(Found::Nothing);
            }
        };
        let Entry { token, lifetime } = entry;
        let until = match lifetime {
            Duration::MAX => Duration::MAX,
            lifetime => asked.saturating_add(loaded.expires_in.min(lifetime)),
        };
        let (id, validity) = (token.id(), Validity { lifetime, until });
        let candidate = Candidate { token: token.expires_in(until), validity, entry: Bytes::new() };
        Some(self.need.judge(candidate, id, validity, self.began.elapsed()))
    }

    async fn lock(&mut self, place: Place<'_>) -> Option<bool> {
        self.locked_at = Instant::now();
        let lock = async { self.shared.store.lock(place.key, &self.owner, LEASE).await };
        self.operate("lock", None, lock).await
    }

    async fn store(&self, place: Place<'_>, candidate: Candidate) -> Option<bool> {
        let keep = self.keep(candidate.validity).unwrap_or(SHORTEST_KEPT);
        let Candidate { token, entry, .. } = candidate;
        let store = async { self.shared.store.store(place.key, &self.owner, entry, keep).await };
        self.operate("store", Some(&token), store).await
    }

    async fn unlock(&self, place: Place<'_>) -> Option<()> {
        let unlock = async { self.shared.store.unlock(place.key, &self.owner).await };
        self.operate("unlock", None, unlock).await
    }

    async fn ask(
        &self,
        place: Place<'_>,
        lease: Lease,
        has_fallback: bool,
    ) -> (Answer<Candidate, TokenError>, Lease) {
        let elapsed = self.began.elapsed();
        let context = self.context.clone().after(elapsed);
        let left = context.fetch_timeout();
        let fetch = async {
            let fetch = self.shared.fetcher.fetch(context);
            let outcome = match has_fallback {
                false => fetch.await,
                // The cache gives up when the time is over, and a fallback would come too late then.
                true => match timeout(left.mul_f64(FOR_ISSUER), fetch).await {
                    Ok(outcome) => outcome,
                    Err(_) => return Err(TokenError::timed_out(left.mul_f64(FOR_ISSUER))),
                },
            };
            outcome.map_err(|error| TokenError::from_fetcher(error.into()))
        };
        let (outcome, lease) = match lease {
            Lease::Held => self.prolonging(place, fetch).await,
            Lease::NotHeld => (fetch.await, Lease::NotHeld),
        };
        let answer = match outcome {
            Ok(token) => self.answer(place, token, elapsed),
            Err(error) => Answer::Failed(error),
        };
        (answer, lease)
    }

    /// `asked` is when the issuer was asked, counted from the start.
    fn answer(
        &self,
        place: Place<'_>,
        token: Token,
        asked: Duration,
    ) -> Answer<Candidate, TokenError> {
        let lifetime = token.lifetime().unwrap_or(self.shared.default_lifetime);
        let until = match lifetime {
            Duration::MAX => Duration::MAX,
            lifetime => asked.saturating_add(lifetime),
        };
        let entry = Entry { token, lifetime };
        let bytes = entry.write(place.key, place.seal);
        // The cache counts from the start of this fetch.
        let token = match entry.token.lifetime() {
            Some(lifetime) if !lifetime.is_zero() => entry.token.expires_in(until),
            _ => entry.token,
        };
        let validity = Validity { lifetime, until };
        // A bound token is of no use to a process that does not have its key.
        let is_bound = token.binding().is_some();
        self.shared.are_bound.store(is_bound, Relaxed);
        let is_shared = !is_bound && self.keep(validity).is_some();
        match bytes.filter(|_| is_shared) {
            Some(entry) => Answer::Lasting(Candidate { token, validity, entry }),
            None => Answer::Spent(Candidate { token, validity, entry: Bytes::new() }),
        }
    }

    /// Prolongs the lease while the fetch is under way. Returns whether it was held all the time.
    async fn prolonging<T>(&self, place: Place<'_>, fetch: impl Future<Output = T>) -> (T, Lease) {
        let mut fetch = pin!(fetch);
        let mut held_until = self.locked_at + LEASE;
        loop {
            let outcome = timeout(PROLONG_EVERY, fetch.as_mut()).await;
            let now = Instant::now();
            let is_held = now + self.limit() < held_until;
            match outcome {
                Ok(outcome) if is_held => return (outcome, Lease::Held),
                Ok(outcome) => return (outcome, Lease::NotHeld),
                Err(_) if !is_held => return (fetch.await, Lease::NotHeld),
                Err(_) => {}
            }
            // To its end, so that it does not overtake what comes after it.
            let mut prolong = pin!(self.prolong(place));
            let mut outcome = None;
            let is_prolonged = poll_fn(|cx| {
                if outcome.is_none() {
                    if let Poll::Ready(ready) = fetch.as_mut().poll(cx) {
                        outcome = Some(ready);
                    }
                }
                prolong.as_mut().poll(cx)
            })
            .await;
            match (outcome, is_prolonged) {
                (Some(outcome), true) => return (outcome, Lease::Held),
                (Some(outcome), false) => return (outcome, Lease::NotHeld),
                (None, true) => held_until = now + LEASE,
                (None, false) => return (fetch.await, Lease::NotHeld),
            }
        }
    }

    /// Whether the lease goes on without a gap.
    async fn prolong(&self, place: Place<'_>) -> bool {
        let (asked, limit) = (Instant::now(), self.limit());
        let lock = async { self.shared.store.lock(place.key, &self.owner, LEASE).await };
        let outcome = guarded(limit, lock).await;
        let operation = "prolong";
        self.observe(CacheEvent::StoreOperation { operation, outcome: name(&outcome) });
        // A process that stood still may see the outcome long after it.
        matches!(outcome, Ok(true)) && asked.elapsed() <= limit
    }

    /// `None` if the operation failed. Then the store is left alone for a while. Its error may repeat what was
    /// `sent`.
    async fn operate<T>(
        &self,
        operation: &'static str,
        sent: Option<&Token>,
        future: impl Future<Output = Result<T, S::Error>>,
    ) -> Option<T> {
        let outcome = guarded(self.limit(), future).await;
        self.observe(CacheEvent::StoreOperation { operation, outcome: name(&outcome) });
        match outcome {
            Ok(value) => Some(value),
            Err(failure) => {
                let is_news = self.shared.breaker().failed(Instant::now(), fastrand::f64());
                if is_news {
                    let mut redactor = Redactor::default();
                    redactor.hide(sent.map(Token::expose).unwrap_or_default());
                    let text = redactor.excerpt(&failure.to_string());
                    self.observe(CacheEvent::StoreFailed { operation, error: &text });
                }
                None
            }
        }
    }

    /// How long an operation may take. Half of the time that is left, at most, so that a token in hand is not
    /// lost over the store. A quarter of the lease, at most, so that one which is prolonged is not over by then.
    fn limit(&self) -> Duration {
        let all = self.context.fetch_timeout();
        let left = all.saturating_sub(self.began.elapsed());
        self.shared.store_timeout.min(LEASE / 4).min(all / 8).min(left / 2)
    }

    /// How long the store is to keep a token, if it is to. A store may do what it is told as late as the lease
    /// ends, and the token is not to be there after its expiry.
    fn keep(&self, validity: Validity) -> Option<Duration> {
        if validity.lifetime == Duration::MAX {
            return Some(KEEP_FOREVER);
        }
        let late = LEASE.min(validity.lifetime / 10).max(self.limit());
        let keep = validity.remaining(self.began.elapsed()).saturating_sub(late).min(LONGEST_KEPT);
        (keep >= SHORTEST_KEPT).then_some(keep)
    }

    fn observe(&self, event: CacheEvent<'_>) {
        observe::event(self.context.cache(), event);
    }

    fn end(&self, end: End<Candidate, TokenError>) -> Result<Token, TokenError> {
        let (candidate, origin) = match end {
            End::Token(candidate, origin) => (candidate, origin),
            End::Failed { error, fallback } => {
                let now = self.began.elapsed();
                let usable = fallback.filter(|it| !it.validity.remaining(now).is_zero());
                let Some(candidate) = usable else { return Err(error) };
                self.observe(CacheEvent::SharedKept { error: &error });
                (candidate, Origin::Store)
            }
        };
        self.observe(CacheEvent::TokenShared { origin: origin.name() });
        Ok(candidate.token)
    }
}

fn name<T>(outcome: &Result<T, Failure>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(failure) => failure.name(),
    }
}
