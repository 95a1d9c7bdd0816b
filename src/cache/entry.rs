//! A token in the cache, with the moment that its age is counted from.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::schedule::{FOREVER, Phase, Windows};
use crate::token::Token;

/// How often the wall clock is read while a token is in use.
const READ_WALL_EVERY: Duration = Duration::from_secs(1);

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
}

/// A token that may be used without another thought until that moment.
pub(super) struct Settled {
    token: Token,
    until: Instant,
}

impl Settled {
    #[inline]
    pub(super) fn token(&self) -> Option<&Token> {
        (Instant::now() < self.until).then_some(&self.token)
    }
}

impl Entry {
    pub(super) fn new(token: Token, began: Moment, windows: Windows) -> Self {
        Self { token, began, windows }
    }

    pub(super) fn phase(&self, now: Moment) -> Phase {
        self.windows.phase(self.age(now))
    }

    pub(super) fn remaining(&self, now: Moment) -> Duration {
        self.windows.expiry.saturating_sub(self.age(now))
    }

    /// What remains, or [`Duration::MAX`] if the token does not expire.
    pub(super) fn expires_in(&self, now: Moment) -> Duration {
        match self.windows.expiry < FOREVER {
            true => self.remaining(now),
            false => Duration::MAX,
        }
    }

    /// How long until the token is due. `None` if it does not expire.
    pub(super) fn due_in(&self, now: Moment) -> Option<Duration> {
        let expires = self.windows.expiry < FOREVER;
        expires.then(|| self.windows.due.saturating_sub(self.age(now)))
    }

    /// The token can be used until its next phase begins, or the clocks are to be compared.
    pub(super) fn settle(&self, now: Moment) -> Settled {
        let age = self.age(now);
        let next = match self.windows.phase(age) {
            Phase::Fresh => self.windows.due,
            Phase::Due => self.windows.spent,
            Phase::Spent | Phase::Expired => age,
        };
        let until = now.monotonic + (next - age).min(READ_WALL_EVERY);
        Settled { token: self.token.clone(), until }
    }

    /// The age on the clock that says more.
    fn age(&self, now: Moment) -> Duration {
        let wall = now.wall.duration_since(self.began.wall).unwrap_or_default();
        now.monotonic.saturating_duration_since(self.began.monotonic).max(wall)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::schedule::Policy, *};

    const LIFETIME: Duration = Duration::from_secs(100);

    fn entry(began: Moment, jitter: f64) -> Entry {
        let policy = Policy {
            refresh_ahead: Duration::from_secs(300),
            expiry_margin: Duration::from_secs(30),
            default_lifetime: Duration::from_secs(300),
            fetch_timeout: Duration::from_secs(10),
        };
        let token = Token::bearer("abc").unwrap();
        Entry::new(token, began, Windows::new(&policy, LIFETIME, jitter))
    }

    fn millis() -> impl Strategy<Value = Duration> {
        (0..120_000u64).prop_map(Duration::from_millis)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_settled_token_has_not_changed_its_phase(
            jitter in 0.0..=1.0f64,
            settled in millis(),
            ahead in proptest::option::of(millis()),
            later in (0..2000u64).prop_map(Duration::from_millis),
        ) {
            let began = Moment { monotonic: Instant::now(), wall: SystemTime::now() };
            let entry = entry(began, jitter);

            // The wall clock may be ahead of the other one, and both go on at the same pace.
            let mut now = began.later(settled);
            now.wall += ahead.unwrap_or_default();
            let until = entry.settle(now).until;
            let then = now.later(later);
            if then.monotonic < until {
                prop_assert_eq!(entry.phase(then), entry.phase(now));
                prop_assert!(entry.phase(then) < Phase::Spent);
                prop_assert!(later < READ_WALL_EVERY);
            }
        }
    }
}
