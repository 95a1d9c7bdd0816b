//! The one lock and the clocks.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use tokio::{runtime::Handle, time::Instant};

use super::{
    changes::{Feed, TokenChange, TokenChanges},
    cooldown::Source,
    entry::{Entry, Moment, Settled},
    fetch::PendingOutcome,
    replace_error::ReplaceError,
    schedule::Policy,
    state::{State, Step, Successor},
    status::TokenStatus,
};
use crate::{
    error::TokenError,
    fetcher::{Claims, DynFetcher, FetchReason},
    observe::{self, CacheEvent, Name},
    token::{Token, TokenId},
};

pub(super) type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub(super) struct Shared {
    /// What a hit sees. Written under the lock.
    pub(super) settled: ArcSwapOption<Settled>,
    state: Mutex<State>,
    pub(super) feed: Feed,
    pub(super) fetcher: Arc<dyn DynFetcher>,
    pub(super) policy: Policy,
    pub(super) keeps_fresh: bool,
    wall_clock: WallClock,
    pub(super) name: Name,
}

/// What there is for a caller.
pub(super) enum Lookup {
    Use(Token),
    Wait(PendingOutcome),
}

impl Shared {
    pub(super) fn new(
        fetcher: Arc<dyn DynFetcher>,
        policy: Policy,
        keeps_fresh: bool,
        wall_clock: WallClock,
        name: Name,
    ) -> Self {
        let settled = ArcSwapOption::empty();
        let (state, feed) = (Mutex::default(), Feed::default());
        Self { settled, state, feed, fetcher, policy, keeps_fresh, wall_clock, name }
    }

    /// Uses the token, if nobody has to wait for it. May start a refresh behind it, where there is a runtime to
    /// run that on.
    #[inline]
    pub(super) fn at_once<T>(self: &Arc<Self>, with: impl FnOnce(&Token) -> T) -> Option<T> {
        let (settled, looked_up);
        settled = self.settled.load();
        // One call of `with`, so that it is compiled into this.
        let token = match settled.as_deref().and_then(Settled::token) {
            Some(token) => token,
            None => {
                looked_up = self.look()?;
                &looked_up
            }
        };
        Some(with(token))
    }

    #[cold]
    fn look(self: &Arc<Self>) -> Option<Token> {
        let now = self.now();
        let step = self.step(&mut self.lock(), now);
        match step {
            Step::Use(entry, successor) => Some(self.hand_out(&entry, successor, now)),
            Step::Wait(_) | Step::Fail(_) => None,
        }
    }

    /// The token, or the fetch to wait for, which is started if need be.
    pub(super) fn look_up(self: &Arc<Self>) -> Result<Lookup, TokenError> {
        let now = self.now();
        let mut state = self.lock();
        match self.step(&mut state, now) {
            Step::Use(entry, successor) => {
                drop(state);
                Ok(Lookup::Use(self.hand_out(&entry, successor, now)))
            }
            Step::Wait(reason) => {
                Ok(Lookup::Wait(self.join(&mut state, &self.runtime()?, reason, now)))
            }
            Step::Fail(error) => Err(error),
        }
    }

    /// What to do for a caller. What need not be waited for is done.
    fn step(self: &Arc<Self>, state: &mut State, now: Moment) -> Step {
        let step = state.step(now);
        let runtime = Handle::try_current().ok();
        if let (true, Some(runtime)) = (self.keeps_fresh, &runtime) {
            self.keep_fresh(state, runtime);
        }
        match (&step, &runtime) {
            (Step::Use(entry, Successor::Unneeded), _) => self.publish(entry, now),
            (Step::Use(entry, Successor::Due(reason)), Some(runtime)) => {
                self.launch(state, runtime, *reason, now);
                self.publish(entry, now);
            }
            _ => {}
        }
        step
    }

    fn publish(&self, entry: &Entry, now: Moment) {
        self.settled.store(Some(Arc::new(entry.settle(now))));
    }

    fn hand_out(&self, entry: &Entry, successor: Successor, now: Moment) -> Token {
        observe::event(&self.name, CacheEvent::ExpiresIn(entry.remaining(now)));
        if let Successor::Missing = successor {
            observe::event(&self.name, CacheEvent::Kept);
        }
        entry.token.clone()
    }

    /// The token that takes the place of a rejected one, or the fetch for it.
    pub(super) fn replacement(
        self: &Arc<Self>,
        rejected: TokenId,
        by: Source,
    ) -> Result<Lookup, ReplaceError> {
        let now = self.now();
        let mut state = self.lock();
        if let Some(entry) = state.usable(now).filter(|entry| entry.token.id() != rejected) {
            // If this very source has rejected the newer one as well, a better is on its way.
            let is_rejected = state.rejection.as_ref().is_some_and(|rejection| rejection.by == by);
            if !is_rejected || !state.is_flying() {
                return Ok(Lookup::Use(entry.token.clone()));
            }
        }
        if !state.is_flying() {
            let wait = state.cooldowns.wait(by, now.monotonic);
            if !wait.is_zero() {
                // Fetches that failed may have used up what there is, and then they are the reason.
                let failure = state.not_replaced(now.monotonic, wait);
                return Err(failure.map_or(ReplaceError::Cooldown, ReplaceError::Fetch));
            }
            if let Some(error) = state.remembered(now.monotonic) {
                return Err(error.into());
            }
        }
        let runtime = self.runtime()?;
        Ok(Lookup::Wait(self.join(&mut state, &runtime, FetchReason::Rejected, now)))
    }

    /// Marks the token as rejected, if it is still the current one.
    pub(super) fn reject(&self, rejected: TokenId, by: Source, claims: Option<Claims>) {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        let (is_usable, is_news) = (state.usable(now).is_some(), state.rejection.is_none());
        if state.is_current(rejected) && state.reject(by, claims, now) && is_usable {
            if is_news {
                news.write(|| TokenChange::Rejected);
            }
            self.settled.store(None);
        }
    }

    /// A request was sent once more with this token, and was accepted.
    pub(super) fn accepted(&self, token: TokenId, by: Source) {
        self.lock().cooldowns.accepted(by, token);
    }

    /// A request was sent once more with this token, and was refused again.
    pub(super) fn refused_again(&self, token: TokenId, by: Source) {
        let now = Instant::now();
        self.lock().cooldowns.rejected_again(by, token, now);
    }

    /// The token in the cache, unless it has expired.
    pub(super) fn peek(&self) -> Option<Token> {
        let now = self.now();
        self.lock().usable(now).map(|entry| entry.token.clone())
    }

    pub(super) fn status(&self) -> TokenStatus {
        let now = self.now();
        self.lock().status(now)
    }

    pub(super) fn changes(&self) -> TokenChanges {
        self.feed.subscribe()
    }

    pub(super) fn peek_unsuspected(&self) -> Option<Token> {
        let now = self.now();
        let state = self.lock();
        let entry = state.usable(now).filter(|_| state.rejection.is_none())?;
        Some(entry.token.clone())
    }

    /// The token to fall back to, though it was to be replaced.
    pub(super) fn fallback(&self) -> Option<Token> {
        let token = self.peek()?;
        observe::event(&self.name, CacheEvent::Kept);
        Some(token)
    }

    pub(super) fn now(&self) -> Moment {
        Moment { monotonic: Instant::now(), wall: (self.wall_clock)() }
    }

    /// Nothing that runs under the lock can leave the state half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.lock().current.as_ref().map(|entry| entry.token.clone());
        f.debug_struct("TokenCache")
            .field("name", &self.name)
            .field("current", &current)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
