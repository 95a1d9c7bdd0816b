//! The one lock, the clocks and the spawn.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::{runtime::Handle, time::Instant};

use super::{
    changes::{Feed, News, TokenChange, TokenChanges},
    cooldown::Source,
    entry::{Entry, Moment, Settled},
    flight::{FetchLabels, Flight, Outcome},
    keep_fresh::Keeper,
    schedule::{FOREVER, Phase, Policy, Windows},
    state::{Due, State, Step},
    status::TokenStatus,
};
#[cfg(feature = "token-caches")]
use super::{entry::LOOK_EVERY, memory::Memory};
use crate::{
    error::TokenError,
    fetcher::{Claims, DynFetcher, FetchContext, FetchReason, FetchesBehind},
    observe::{self, Name},
    token::{Token, TokenId},
};

/// How long an issuer is left alone that has just handed out a token in its last second again.
const SAME_TOKEN_PAUSE: Duration = Duration::from_secs(1);

/// How long the renewal without traffic leaves a fetch alone that was lost when it was launched.
const LOST_PAUSE: Duration = Duration::from_secs(1);

pub(super) type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

tokio::task_local! {
    static FETCHES: FetchesBehind;
}

// In this order, so that what a hit reads lies beside the reference count that a selected cache writes.
#[repr(C)]
pub(super) struct Shared {
    /// What a hit sees. Written under the lock.
    settled: ArcSwapOption<Settled>,
    state: Mutex<State>,
    feed: Feed,
    fetcher: Arc<dyn DynFetcher>,
    policy: Policy,
    keeps_fresh: bool,
    wall_clock: WallClock,
    name: Name,
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

/// The outcome of a fetch that is under way, or `None` if the fetch is lost.
pub(super) type PendingOutcome = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

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

    /// Identifies the cache among those whose fetches may wait for each other.
    pub(super) fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Uses the token, if that can be done without another thought. Gives `with` back otherwise.
    #[inline]
    pub(super) fn settled<T, F: FnOnce(&Token) -> T>(&self, with: F) -> Result<T, F> {
        match &*self.settled.load() {
            Some(settled) if Instant::now() < settled.until => Ok(with(&settled.token)),
            _ => Err(with),
        }
    }

    /// The token, if it can be used without waiting. May start a refresh behind it, where there
    /// is a runtime to run that on.
    pub(super) fn at_once(self: &Arc<Self>) -> Option<Token> {
        let now = self.now();
        let mut state = self.lock();
        #[cfg(feature = "token-caches")]
        {
            state.used = Some(now.monotonic);
        }
        let (entry, kept) = match state.step(now) {
            Step::Use(entry) => {
                self.settle(&entry, now);
                (entry, false)
            }
            Step::Keep(entry) => (entry, true),
            Step::Refresh(entry, reason) => {
                if let Ok(runtime) = Handle::try_current() {
                    self.launch(&mut state, &runtime, reason, now);
                    self.settle(&entry, now);
                }
                (entry, false)
            }
            Step::Wait(..) | Step::Fail(_) => return None,
        };
        if self.keeps_fresh {
            if let Ok(runtime) = Handle::try_current() {
                self.keep_fresh(&mut state, &runtime, now);
            }
        }
        drop(state);
        observe::expires_in(&self.name, entry.remaining(now));
        if kept {
            observe::kept(&self.name);
        }
        Some(entry.token.clone())
    }

    /// The token, or the fetch to wait for, which is started if need be.
    pub(super) fn look_up(self: &Arc<Self>) -> Lookup {
        if let Some(token) = self.at_once() {
            return Lookup::Use(token);
        }
        let now = self.now();
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                let current = self.lock().current.clone();
                let kept = self.fallback(current);
                return kept.map_or(Lookup::Fail(error), Lookup::Use);
            }
        };
        let mut state = self.lock();
        match state.step(now) {
            Step::Use(entry) | Step::Keep(entry) | Step::Refresh(entry, _) => {
                Lookup::Use(entry.token.clone())
            }
            Step::Wait(reason, fallback) => {
                Lookup::Wait(self.join(&mut state, &runtime, reason, now), fallback)
            }
            Step::Fail(error) => Lookup::Fail(error),
        }
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
        let flying = state.is_flying(now.monotonic);
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

    /// Takes the token out, and has it revoked.
    pub(super) async fn revoke(self: &Arc<Self>) -> Result<(), TokenError> {
        if self.peek().is_none() {
            return Ok(());
        }
        Handle::try_current().map_err(|_| TokenError::no_runtime())?;
        let behind = FETCHES.try_with(Clone::clone).unwrap_or_default().and(self.id());
        let timeout = self.policy.fetch_timeout.min(FOREVER);
        let revoke = async {
            match self.take() {
                Some(token) => self.fetcher.clone().revoke(token).await,
                None => Ok(()),
            }
        };
        tokio::time::timeout(timeout, FETCHES.scope(behind, revoke))
            .await
            .unwrap_or_else(|_| Err(TokenError::revocation_timed_out(timeout)))
    }

    /// The token, unless it has expired. The cache does not have it any more.
    fn take(&self) -> Option<Token> {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        let entry = state.usable(now).cloned()?;
        state.current = None;
        state.suspect = None;
        state.claims = None;
        let upkeep = mem::take(&mut state.upkeep);
        self.settled.store(None);
        news.write(|| TokenChange::Revoked);
        drop(state);
        drop(upkeep);
        Some(entry.token.clone())
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
            Some(used) if !state.is_flying(now) => now.saturating_duration_since(used + LOOK_EVERY),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    fn join(
        self: &Arc<Self>,
        state: &mut State,
        runtime: &Handle,
        reason: FetchReason,
        now: Moment,
    ) -> PendingOutcome {
        if !state.is_flying(now.monotonic) {
            self.launch(state, runtime, reason, now);
        }
        let flight = state.flight.as_ref().expect("a flight was there or has just been launched");
        Box::pin(flight.join())
    }

    fn launch(
        self: &Arc<Self>,
        state: &mut State,
        runtime: &Handle,
        reason: FetchReason,
        now: Moment,
    ) {
        let rejected = match reason {
            FetchReason::Rejected if state.suspect.is_some() => {
                state.current.as_ref().map(|entry| entry.token.clone())
            }
            _ => None,
        };
        let by = state.suspect.filter(|_| rejected.is_some());
        let pause = state.pause.take().unwrap_or(now.monotonic);
        let began = now.later(pause.saturating_duration_since(now.monotonic));
        if reason == FetchReason::Rejected {
            state.cooldowns.launched(began.monotonic);
        }
        let behind = FETCHES.try_with(Clone::clone).unwrap_or_default().and(self.id());
        let claims = state.claims.clone().filter(|_| rejected.is_some());
        let timeout = self.policy.fetch_timeout.min(FOREVER);
        let current = state.usable(began);
        let current = current.map(|entry| (entry.token.clone(), entry.expires_in(began)));
        let context = FetchContext::new(reason, timeout, self.name.clone(), behind.clone())
            .current_is(current)
            .rejects(rejected, claims);
        let fetcher = self.fetcher.clone();
        let fetch = async move {
            if began.monotonic > now.monotonic {
                tokio::time::sleep_until(began.monotonic).await;
            }
            tokio::time::timeout(timeout, fetcher.fetch(context))
                .await
                .unwrap_or_else(|_| Err(TokenError::timed_out(timeout)))
        };
        state.launched += 1;
        let number = state.launched;
        let cache = Arc::downgrade(self);
        let land = move |outcome: &Outcome| {
            if let Some(cache) = cache.upgrade() {
                cache.land(number, outcome, began, by);
            }
        };
        let deadline = began.monotonic + timeout;
        let fetch = FETCHES.scope(behind, fetch);
        let labels = FetchLabels { name: self.name.clone(), reason };
        state.flight = Some(Flight::launch(runtime, number, deadline, labels, fetch, land));
        self.keep_fresh(state, runtime, now);
    }

    /// Starts the renewal without traffic, unless it is under way.
    fn keep_fresh(self: &Arc<Self>, state: &mut State, runtime: &Handle, now: Moment) {
        if !self.keeps_fresh || !state.upkeep.is_lost(now.monotonic) {
            return;
        }
        let (cache, ended) = (Arc::downgrade(self), Arc::downgrade(self));
        let look = move || cache.upgrade()?.look();
        // The next caller looks at the state, and starts it again.
        let ended = move || {
            if let Some(cache) = ended.upgrade() {
                cache.settled.store(None);
            }
        };
        let changes = self.feed.subscribe();
        state.upkeep.start(Keeper::start(runtime, now.monotonic, changes, look, ended));
    }

    /// Renews the token if it is due. Returns when to look again, if not only after a change.
    fn look(self: &Arc<Self>) -> Option<Instant> {
        let now = self.now();
        let mut state = self.lock();
        // The token was revoked while this look began, and nothing is renewed until somebody asks.
        if !state.upkeep.is_started() {
            return None;
        }
        state.upkeep.looks_at(Some(now.monotonic));
        if let (Due::Now(reason), Ok(runtime)) = (state.due(now), Handle::try_current()) {
            self.launch(&mut state, &runtime, reason, now);
        }
        let next = match state.due(now) {
            // The runtime is being shut down.
            Due::Now(_) => Some(now.monotonic + LOST_PAUSE),
            Due::At(at) => Some(at),
            Due::Never => None,
        };
        state.upkeep.looks_at(next);
        let usable = state.usable(now).cloned();
        drop(state);
        if let Some(entry) = usable {
            observe::expires_in(&self.name, entry.remaining(now));
        }
        next
    }

    fn land(&self, number: u64, outcome: &Outcome, began: Moment, by: Option<Source>) {
        let now = self.now();
        let mut news = self.feed.news();
        let mut state = self.lock();
        // A flight that was given up may still land. Another has taken its place.
        let Some(landed) = state.flight.take_if(|flight| flight.number() == number) else {
            return;
        };
        state.upkeep.looks_at(Some(now.monotonic));
        let failure = match outcome {
            Ok(token) => {
                news.write(|| match state.usable(now) {
                    None => TokenChange::Fetched,
                    Some(_) => TokenChange::Renewed,
                });
                let entry = self.entry(&mut state, token, began, by, now);
                state.suspect = None;
                state.claims = None;
                state.current = Some(Arc::new(entry));
                self.settled.store(None);
                let is_usable = state.usable(now).is_some();
                state.upkeep.token_came(is_usable, now.monotonic);
                state.failure.take()
            }
            Err(error) => {
                news.write(|| TokenChange::Failed(error.clone()));
                // An API can ask for claims that the issuer takes from nobody.
                if !error.is_transient() {
                    state.claims = None;
                }
                state.failed(error, now)
            }
        };
        drop(state);
        drop((landed, failure));
    }

    fn entry(
        &self,
        state: &mut State,
        token: &Token,
        began: Moment,
        by: Option<Source>,
        now: Moment,
    ) -> Entry {
        let lifetime = token.lifetime().unwrap_or(self.policy.default_lifetime);
        let mut windows = Windows::new(&self.policy, lifetime, fastrand::f64());
        let same = state.is_current(token.id());
        if same {
            windows = windows.without_ahead();
            if windows.spent < SAME_TOKEN_PAUSE {
                state.pause = Some(now.monotonic + SAME_TOKEN_PAUSE);
            }
        }
        if let Some(by) = by {
            state.cooldowns.forced(by, token.id(), token.lifetime(), now.monotonic);
            if same {
                state.cooldowns.rejected_again(by, token.id(), now.monotonic);
            }
        }
        Entry::new(token.clone(), began, windows)
    }

    /// Where a fetch can run, if there can be one.
    fn runtime(self: &Arc<Self>) -> Result<Handle, TokenError> {
        if FETCHES.try_with(|behind| behind.contains(self.id())).unwrap_or(false) {
            return Err(TokenError::behind_itself());
        }
        Handle::try_current().map_err(|_| TokenError::no_runtime())
    }

    fn settle(&self, entry: &Entry, now: Moment) {
        self.settled.store(Some(Arc::new(entry.settle(now))));
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
            state.upkeep.looks_at(Some(now.monotonic));
            news.write(|| TokenChange::Rejected);
        }
        if claims.is_some() {
            state.claims = claims;
        }
        self.settled.store(None);
    }

    fn now(&self) -> Moment {
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
