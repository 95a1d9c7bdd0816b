//! How a fetch is launched, what it leaves in the state when it lands, and how a token is revoked.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    changes::TokenChange,
    entry::{Entry, Moment},
    flight::{Flight, Outcome, Task, caught},
    keep_fresh::keep_fresh,
    schedule::{FOREVER, Windows},
    shared::Shared,
    state::State,
};
use crate::{
    error::TokenError,
    fetcher::{FetchContext, FetchReason},
    observe,
    token::Token,
};

/// How long an issuer is left alone that has just handed out a token in its last second again.
const SAME_TOKEN_PAUSE: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The caches that wait for what this task fetches.
    static WAITING: Arc<[usize]>;
}

/// The outcome of a fetch that is under way, or `None` if the fetch is lost.
pub(super) type PendingOutcome = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

impl Shared {
    /// Where a fetch can run, if there can be one.
    pub(super) fn runtime(self: &Arc<Self>) -> Result<Handle, TokenError> {
        if WAITING.try_with(|waiting| waiting.contains(&self.id())).unwrap_or(false) {
            return Err(TokenError::behind_itself());
        }
        Handle::try_current().map_err(|_| TokenError::no_runtime())
    }

    /// The fetch under way, launched here if there is none. Its waiters give it up if it is lost.
    pub(super) fn join(
        self: &Arc<Self>,
        state: &mut State,
        runtime: &Handle,
        reason: FetchReason,
        now: Moment,
    ) -> PendingOutcome {
        if !state.is_flying() {
            self.launch(state, runtime, reason, now);
        }
        let flight = state.flight.as_ref().expect("a flight was there or has just been launched");
        let (number, landed, cache) = (flight.number, flight.join(), Arc::downgrade(self));
        Box::pin(async move {
            let outcome = landed.await;
            if let (None, Some(cache)) = (&outcome, cache.upgrade()) {
                let given_up = cache.lock().flight.take_if(|flight| flight.number == number);
                drop(given_up);
            }
            outcome
        })
    }

    pub(super) fn launch(
        self: &Arc<Self>,
        state: &mut State,
        runtime: &Handle,
        reason: FetchReason,
        now: Moment,
    ) {
        let pause = state.pause.take().unwrap_or(now.monotonic);
        let began = now.later(pause.saturating_duration_since(now.monotonic));
        if reason == FetchReason::Rejected {
            state.cooldowns.launched(began.monotonic);
        }
        let rejection = state.rejection.as_ref().filter(|_| reason == FetchReason::Rejected);
        let by = rejection.map(|rejection| rejection.by);
        let limit = self.policy.fetch_timeout.min(FOREVER);
        let context = self.context(state, reason, limit, began);
        state.launched += 1;
        let number = state.launched;
        let (cache, fetcher, name) =
            (Arc::downgrade(self), self.fetcher.clone(), self.name.clone());
        let fetch = async move {
            if began.monotonic > now.monotonic {
                sleep_until(began.monotonic).await;
            }
            let outcome = timeout(limit, fetcher.fetch(context)).await;
            outcome.unwrap_or_else(|_| Err(TokenError::timed_out(limit)))
        };
        let fetch = WAITING.scope(self.waiting(), async move {
            let started = Instant::now();
            let observed = observe::ObservedFetch::start(name, reason);
            let outcome = observed.run(caught(fetch)).await;
            observed.end(&outcome, started.elapsed());
            if let Some(cache) = cache.upgrade() {
                cache.land(number, &outcome);
            }
            (outcome, observed)
        });
        let flight = Flight::launch(runtime, number, began, by, limit, fetch);
        state.flight = Some(Box::new(flight));
        self.keep_fresh(state, runtime);
    }

    fn context(
        &self,
        state: &State,
        reason: FetchReason,
        limit: Duration,
        began: Moment,
    ) -> FetchContext {
        let current = state.usable(began);
        let current = current.map(|entry| (entry.token.clone(), entry.expires_in(began)));
        let context = FetchContext::new(reason, limit, self.name.clone()).current_is(current);
        match (reason, &state.rejection, &state.current) {
            (FetchReason::Rejected, Some(rejection), Some(entry)) => {
                context.rejects(Some(entry.token.clone()), rejection.claims.clone())
            }
            _ => context,
        }
    }

    /// Starts the renewal without traffic, unless it is under way.
    pub(super) fn keep_fresh(self: &Arc<Self>, state: &mut State, runtime: &Handle) {
        if self.keeps_fresh && state.keeper.as_ref().is_none_or(|task| task.0.is_finished()) {
            let task = runtime.spawn(keep_fresh(Arc::downgrade(self), self.changes()));
            state.keeper = Some(Task(task.abort_handle()));
        }
    }

    fn land(&self, number: u64, outcome: &Outcome) {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        // A flight that was given up may still land. Another has taken its place.
        let Some(flight) = state.flight.take_if(|flight| flight.number == number) else {
            return;
        };
        let failure = match outcome {
            Ok(token) => {
                news.write(|| match state.usable(now) {
                    None => TokenChange::Fetched,
                    Some(_) => TokenChange::Renewed,
                });
                let entry = self.entry(&mut state, token, &flight, now);
                state.rejection = None;
                state.current = Some(Arc::new(entry));
                self.settled.store(None);
                state.failure.take()
            }
            Err(error) => {
                news.write(|| TokenChange::Failed(error.clone()));
                // An API can ask for claims that the issuer takes from nobody.
                if let Some(rejection) = state.rejection.as_mut().filter(|_| !error.is_transient())
                {
                    rejection.claims = None;
                }
                state.failed(error, now)
            }
        };
        drop(state);
        drop((flight, failure));
    }

    fn entry(&self, state: &mut State, token: &Token, flight: &Flight, now: Moment) -> Entry {
        let lifetime = token.lifetime().unwrap_or(self.policy.default_lifetime);
        let mut windows = Windows::new(&self.policy, lifetime, fastrand::f64());
        let same = state.is_current(token.id());
        if same {
            windows = windows.without_ahead();
            if windows.spent < SAME_TOKEN_PAUSE {
                state.pause = Some(now.monotonic + SAME_TOKEN_PAUSE);
            }
        }
        if let Some(by) = flight.by {
            state.cooldowns.forced(by, token.id(), token.lifetime(), now.monotonic);
            if same {
                state.cooldowns.rejected_again(by, token.id(), now.monotonic);
            }
        }
        Entry::new(token.clone(), flight.began, windows)
    }

    /// Takes the token out, and has it revoked.
    pub(super) async fn revoke(self: &Arc<Self>) -> Result<(), TokenError> {
        if self.peek().is_none() {
            return Ok(());
        }
        Handle::try_current().map_err(|_| TokenError::no_runtime())?;
        let limit = self.policy.fetch_timeout.min(FOREVER);
        let revoke = async {
            match self.take() {
                Some(token) => self.fetcher.clone().revoke(token).await,
                None => Ok(()),
            }
        };
        let revoked = timeout(limit, WAITING.scope(self.waiting(), revoke)).await;
        revoked.unwrap_or_else(|_| Err(TokenError::revocation_timed_out(limit)))
    }

    /// The token, unless it has expired. The cache does not have it any more.
    fn take(&self) -> Option<Token> {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        let entry = state.usable(now).cloned()?;
        state.current = None;
        state.rejection = None;
        let keeper = state.keeper.take();
        self.settled.store(None);
        news.write(|| TokenChange::Revoked);
        drop(state);
        drop(keeper);
        Some(entry.token.clone())
    }

    /// The caches that wait for what this task fetches, and this one.
    fn waiting(self: &Arc<Self>) -> Arc<[usize]> {
        let others = WAITING.try_with(Arc::clone).unwrap_or_default();
        others.iter().copied().chain([self.id()]).collect()
    }

    /// Identifies the cache among those whose fetches may wait for each other.
    fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}
