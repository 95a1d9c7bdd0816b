//! A token in the cache, with the moment that its age is counted from.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::schedule::{Phase, Windows};
use crate::token::Token;

/// How often the wall clock is read while a token is in use.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Now, on both clocks: the monotonic one, which a suspended machine stops, and the wall clock,
/// which an administrator moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) monotonic: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn later(self, by: Duration) -> Self {
        let wall = self.wall.checked_add(by).unwrap_or(self.wall);
        Self { monotonic: self.monotonic + by, wall }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) token: Token,
    began: Moment,
    windows: Windows,
    /// The age, in nanoseconds of the monotonic clock, up to which the token may be used without
    /// another thought.
    look_again: AtomicU64,
}

impl Entry {
    pub(super) fn new(token: Token, began: Moment, windows: Windows) -> Self {
        Self { token, began, windows, look_again: AtomicU64::new(0) }
    }

    #[inline]
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        nanos(now.saturating_duration_since(self.began.monotonic)) < self.look_again.load(Relaxed)
    }

    pub(super) fn phase(&self, now: Moment) -> Phase {
        self.windows.phase(self.age(now))
    }

    pub(super) fn remaining(&self, now: Moment) -> Duration {
        self.windows.expiry.saturating_sub(self.age(now))
    }

    /// Lets the token be used until its next phase begins, or the clocks are to be compared.
    pub(super) fn settle(&self, now: Moment) {
        let age = self.age(now);
        let next = match self.windows.phase(age) {
            Phase::Fresh => self.windows.due,
            Phase::Due => self.windows.spent,
            Phase::Spent | Phase::Expired => age,
        };
        let rest = (next - age).min(LOOK_EVERY);
        let until = now.monotonic.saturating_duration_since(self.began.monotonic) + rest;
        self.look_again.store(nanos(until), Relaxed);
    }

    pub(super) fn unsettle(&self) {
        self.look_again.store(0, Relaxed);
    }

    /// The age on the clock that says more.
    fn age(&self, now: Moment) -> Duration {
        let wall = now.wall.duration_since(self.began.wall).unwrap_or_default();
        now.monotonic.saturating_duration_since(self.began.monotonic).max(wall)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
