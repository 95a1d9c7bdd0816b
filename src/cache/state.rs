//! What the lock guards, and what follows from it for a caller. No clock: `now` comes in.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    cooldown::{Cooldowns, Source},
    entry::{Entry, Moment},
    flight::{Flight, Task},
    schedule::{Phase, ahead_backoff, remember},
    status::TokenStatus,
};
use crate::{
    error::TokenError,
    fetcher::{Claims, FetchReason},
    token::TokenId,
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) current: Option<Arc<Entry>>,
    // Boxed, as are the next two: few of many caches have one.
    pub(super) flight: Option<Box<Flight>>,
    pub(super) failure: Option<Box<Failure>>,
    /// The rejection of the current token that is to be answered with another one.
    pub(super) rejection: Option<Box<CurrentRejection>>,
    pub(super) cooldowns: Cooldowns,
    /// The issuer is not asked before this, though callers wait.
    pub(super) pause: Option<Instant>,
    pub(super) launched: u64,
    /// Renews the token while nobody asks, if that is switched on and somebody has asked once.
    pub(super) keeper: Option<Task>,
}

#[derive(Clone, Debug)]
pub(super) struct CurrentRejection {
    pub(super) by: Source,
    /// What the API wants to see in the other token.
    pub(super) claims: Option<Claims>,
}

/// The last fetch failed, and those before it too if `in_a_row` says so.
#[derive(Debug)]
pub(super) struct Failure {
    error: TokenError,
    at: Instant,
    in_a_row: u32,
    /// It was a rejected token that could not be replaced.
    of_rejection: bool,
    /// Until when the issuer is left alone while there is a token to use.
    ahead_until: Instant,
    /// Until when callers are answered with this failure.
    until: Instant,
}

/// What to do for a caller.
pub(super) enum Step {
    Use(Arc<Entry>, Successor),
    /// Get another token first. If that fails, use the one that there is, unless it has expired.
    Wait(FetchReason),
    Fail(TokenError),
}

/// How much another token is needed beside one that is used.
#[derive(Clone, Copy)]
pub(super) enum Successor {
    /// Not yet, or somebody sees to it.
    Unneeded,
    /// Get it behind the caller.
    Due(FetchReason),
    /// No other can be had now.
    Missing,
}

impl State {
    /// The token, unless it has expired.
    pub(super) fn usable(&self, now: Moment) -> Option<&Arc<Entry>> {
        self.current.as_ref().filter(|entry| entry.phase(now) != Phase::Expired)
    }

    pub(super) fn is_current(&self, token: TokenId) -> bool {
        self.current.as_ref().is_some_and(|entry| entry.token.id() == token)
    }

    /// This source has rejected the current token. Whether the next caller gets another, if it can be had.
    pub(super) fn reject(&mut self, by: Source, claims: Option<Claims>, now: Moment) -> bool {
        self.cooldowns.rejected(by, now.monotonic);
        let allowed = self.cooldowns.wait(by, now.monotonic).is_zero();
        if allowed {
            let before = self.rejection.take().and_then(|before| before.claims);
            self.rejection = Some(Box::new(CurrentRejection { by, claims: claims.or(before) }));
        }
        allowed
    }

    pub(super) fn step(&self, now: Moment) -> Step {
        let flying = self.is_flying();
        let failure = self.remembered(now.monotonic).filter(|_| !flying);
        let Some(entry) = self.current.clone() else {
            return failure.map_or(Step::Wait(FetchReason::Empty), Step::Fail);
        };
        let expires = match entry.phase(now) {
            Phase::Expired => {
                return failure.map_or(Step::Wait(FetchReason::Expired), Step::Fail);
            }
            phase => phase,
        };
        // While none of the fetches that refusals may force is left, the token is used on.
        let rejection = self.rejection.as_ref().filter(|rejection| {
            flying || self.cooldowns.wait(rejection.by, now.monotonic).is_zero()
        });
        let (phase, reason) = match rejection {
            None if expires == Phase::Due => (expires, FetchReason::Ahead),
            None => (expires, FetchReason::Expired),
            // The issuer has just failed to replace it, so the next attempt holds nobody up.
            Some(_) if self.failure.as_ref().is_some_and(|failure| failure.of_rejection) => {
                (expires.max(Phase::Due), FetchReason::Rejected)
            }
            Some(_) => (Phase::Spent, FetchReason::Rejected),
        };
        match phase {
            Phase::Fresh => Step::Use(entry, Successor::Unneeded),
            Phase::Due if flying || self.backs_off(now.monotonic) => {
                Step::Use(entry, Successor::Unneeded)
            }
            Phase::Due => Step::Use(entry, Successor::Due(reason)),
            Phase::Spent | Phase::Expired if failure.is_some() => {
                Step::Use(entry, Successor::Missing)
            }
            Phase::Spent | Phase::Expired => Step::Wait(reason),
        }
    }

    /// Returns the failure that this one replaces: dropping it may run the fetcher's own code.
    pub(super) fn failed(&mut self, error: &TokenError, now: Moment) -> Option<Box<Failure>> {
        let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
        let remaining = self.usable(now).map(|entry| entry.remaining(now));
        let jitter = fastrand::f64();
        let ahead = ahead_backoff(error, in_a_row, remaining.unwrap_or(Duration::MAX), jitter);
        let remembered = remember(error, in_a_row, remaining);
        let of_rejection = self.rejection.is_some();
        // Refusals may force few fetches, so none is spent while callers are answered with this.
        let ahead = if of_rejection { ahead.max(remembered) } else { ahead };
        self.failure.replace(Box::new(Failure {
            error: error.clone(),
            at: now.monotonic,
            in_a_row,
            of_rejection,
            ahead_until: now.monotonic + ahead,
            until: now.monotonic + remembered,
        }))
    }

    /// When a caller would next start a fetch, if the token does not stay good for ever. While the issuer is
    /// left alone ahead of the expiry, none would, though there may be no token.
    pub(super) fn next_fetch(&self, now: Moment) -> Option<Instant> {
        if let Some(flight) = self.flight.as_ref().filter(|flight| !flight.is_lost()) {
            return Some(flight.deadline);
        }
        let due_in = match &self.current {
            Some(entry) => entry.due_in(now),
            None => Some(Duration::ZERO),
        };
        let rejection = self.rejection.as_ref();
        let allowed_in =
            rejection.map(|rejection| self.cooldowns.wait(rejection.by, now.monotonic));
        let at = now.monotonic + due_in.into_iter().chain(allowed_in).min()?;
        let failure = self.failure.as_ref();
        Some(failure.map_or(at, |failure| at.max(failure.until).max(failure.ahead_until)))
    }

    pub(super) fn status(&self, now: Moment) -> TokenStatus {
        let usable = self.usable(now);
        TokenStatus {
            expires_in: usable.map(|entry| entry.expires_in(now)),
            is_rejected: usable.is_some() && self.rejection.is_some(),
            is_fetching: self.is_flying(),
            failure: self.failure.as_ref().map(|failure| {
                (failure.error.clone(), now.monotonic.saturating_duration_since(failure.at))
            }),
        }
    }

    pub(super) fn is_flying(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| !flight.is_lost())
    }

    /// Until when a fetch, a failure or a cooldown keeps the issuer from being asked too often.
    #[cfg(feature = "token-caches")]
    pub(super) fn in_trouble_until(&self, now: Instant) -> Option<Instant> {
        let flight = self.flight.as_ref().filter(|flight| !flight.is_lost());
        let flight = flight.map(|flight| flight.deadline);
        let failure = self.failure.as_ref().map(|failure| failure.until);
        flight.max(failure).max(self.cooldowns.until()).filter(|&until| now < until)
    }

    /// The failure that callers are answered with, and how much longer.
    pub(super) fn remembered(&self, now: Instant) -> Option<TokenError> {
        let failure = self.failure.as_ref().filter(|failure| now < failure.until)?;
        Some(failure.error.clone().retry_in(failure.until - now))
    }

    /// Why a refused token was not replaced the last time, if that was tried and has failed.
    pub(super) fn not_replaced(&self, now: Instant, wait: Duration) -> Option<TokenError> {
        let failure = self.failure.as_ref();
        let failure = failure.filter(|failure| failure.of_rejection || now < failure.until)?;
        Some(failure.error.clone().retry_in(wait))
    }

    fn backs_off(&self, now: Instant) -> bool {
        self.failure.as_ref().is_some_and(|failure| now < failure.ahead_until)
    }
}
