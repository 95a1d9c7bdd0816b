//! The one lock and the clocks.

#[cfg(feature = "token-caches")]
use std::time::Duration;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use tokio::{runtime::Handle, time::Instant};

use super::{
    changes::{Feed, News, TokenChange, TokenChanges},
    cooldown::Source,
    entry::{Entry, Moment, Settled},
    fetch::PendingOutcome,
    schedule::{Phase, Policy},
    state::{State, Step},
    status::TokenStatus,
};
#[cfg(feature = "token-caches")]
use super::{entry::READ_WALL_EVERY, memory::Memory};
use crate::{
    error::TokenError,
    fetcher::{Claims, DynFetcher, FetchReason},
    observe::{self, Name},
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
    Wait(PendingOutcome, Option<Arc<Entry>>),
    Fail(TokenError),
}

/// What there is for a caller whose token was refused.
pub(super) enum Replacement {
    Use(Token),
    Wait(PendingOutcome),
    /// The issuer is not asked again so soon.
    Cooldown,
    Fail(TokenError),
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
        if let Some(token) = self.settled.load().as_deref().and_then(Settled::token) {
            return Some(with(token));
        }
        let now = self.now();
        let step = self.step(&mut self.lock(), now);
        match step {
            Step::Use(entry, _) => Some(with(&self.hand_out(&entry, now))),
            Step::Keep(entry) => Some(with(&self.keep(&entry, now))),
            Step::Wait(..) | Step::Fail(_) => None,
        }
    }

    /// The token, or the fetch to wait for, which is started if need be.
    pub(super) fn look_up(self: &Arc<Self>) -> Lookup {
        let (now, runtime) = (self.now(), self.runtime());
        let mut state = self.lock();
        let (reason, fallback) = match self.step(&mut state, now) {
            Step::Use(entry, _) => {
                drop(state);
                return Lookup::Use(self.hand_out(&entry, now));
            }
            Step::Keep(entry) => {
                drop(state);
                return Lookup::Use(self.keep(&entry, now));
            }
            Step::Wait(reason, fallback) => (reason, fallback),
            Step::Fail(error) => return Lookup::Fail(error),
        };
        match (runtime, fallback) {
            (Ok(runtime), fallback) => {
                Lookup::Wait(self.join(&mut state, &runtime, reason, now), fallback)
            }
            (Err(_), Some(entry)) => {
                drop(state);
                Lookup::Use(self.keep(&entry, now))
            }
            (Err(error), None) => Lookup::Fail(error),
        }
    }

    /// What to do for a caller. What need not be waited for is done.
    fn step(self: &Arc<Self>, state: &mut State, now: Moment) -> Step {
        #[cfg(feature = "token-caches")]
        {
            state.used = Some(now.monotonic);
        }
        let step = state.step(now);
        if let Step::Use(entry, reason) = &step {
            let runtime = reason.and_then(|_| Handle::try_current().ok());
            if let (Some(reason), Some(runtime)) = (reason, &runtime) {
                self.launch(state, runtime, *reason, now);
            }
            if reason.is_none() || runtime.is_some() {
                self.settled.store(Some(Arc::new(entry.settle(now))));
            }
        }
        if self.keeps_fresh {
            if let Ok(runtime) = Handle::try_current() {
                self.keep_fresh(state, &runtime);
            }
        }
        step
    }

    fn hand_out(&self, entry: &Entry, now: Moment) -> Token {
        observe::expires_in(&self.name, entry.remaining(now));
        entry.token.clone()
    }

    /// Hands out a token that was to be replaced by now.
    fn keep(&self, entry: &Entry, now: Moment) -> Token {
        observe::kept(&self.name);
        self.hand_out(entry, now)
    }

    /// The token that takes the place of a refused one.
    pub(super) fn replacement(
        self: &Arc<Self>,
        refused: TokenId,
        by: Source,
        claims: Option<Claims>,
    ) -> Replacement {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        let flying = state.is_flying();
        if let Some(entry) = state.current.clone() {
            if entry.token.id() != refused {
                // If this very source has refused the newer one as well, a better is on its way.
                let is_usable = entry.phase(now) != Phase::Expired;
                if is_usable && (state.suspect != Some(by) || !flying) {
                    return Replacement::Use(entry.token.clone());
                }
            } else {
                self.current_rejected(&mut state, by, claims, now, &mut news);
            }
        }
        let wait = state.cooldowns.wait(by, now.monotonic);
        if !flying && !wait.is_zero() {
            // Fetches that failed may have used up what there is, and then they are the reason.
            let failure = state.not_replaced(now.monotonic, wait);
            return failure.map_or(Replacement::Cooldown, Replacement::Fail);
        }
        if let Some(error) = state.remembered(now.monotonic).filter(|_| !flying) {
            return Replacement::Fail(error);
        }
        match self.runtime() {
            Ok(runtime) => {
                Replacement::Wait(self.join(&mut state, &runtime, FetchReason::Rejected, now))
            }
            Err(error) => Replacement::Fail(error),
        }
    }

    /// Marks the token as refused, if it is still the current one.
    pub(super) fn reject(&self, refused: TokenId, by: Source, claims: Option<Claims>) {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        if state.usable(now).is_some_and(|entry| entry.token.id() == refused) {
            self.current_rejected(&mut state, by, claims, now, &mut news);
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
        let entry = state.usable(now).filter(|_| state.suspect.is_none())?;
        Some(entry.token.clone())
    }

    /// The token to fall back to, unless it has expired or was revoked meanwhile.
    pub(super) fn fallback(&self, entry: Option<Arc<Entry>>) -> Option<Token> {
        let now = self.now();
        let entry = entry.filter(|entry| entry.phase(now) != Phase::Expired)?;
        self.lock().current.as_ref()?;
        observe::kept(&self.name);
        Some(entry.token.clone())
    }

    #[cfg(feature = "token-caches")]
    pub(super) fn memory(&self, now: Instant) -> Option<Memory> {
        Memory::of(&self.lock(), now)
    }

    #[cfg(feature = "token-caches")]
    pub(super) fn recall(&self, memory: Memory) {
        memory.recall(&mut self.lock(), Instant::now());
    }

    #[cfg(feature = "token-caches")]
    pub(super) fn touch(&self, now: Instant) {
        self.lock().used = Some(now);
    }

    #[cfg(feature = "token-caches")]
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        match state.used {
            // A settled token may have been used for so long without a note.
            Some(used) if !state.is_flying() => {
                now.saturating_duration_since(used + READ_WALL_EVERY)
            }
            _ => Duration::ZERO,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// The next caller gets another token, if the fetch for it is allowed and succeeds.
    fn current_rejected(
        &self,
        state: &mut State,
        by: Source,
        claims: Option<Claims>,
        now: Moment,
        news: &mut News<'_>,
    ) {
        state.cooldowns.rejected(by, now.monotonic);
        if !state.cooldowns.wait(by, now.monotonic).is_zero() {
            return;
        }
        if state.suspect.replace(by).is_none() {
            news.write(|| TokenChange::Rejected);
        }
        if claims.is_some() {
            state.claims = claims;
        }
        self.settled.store(None);
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
