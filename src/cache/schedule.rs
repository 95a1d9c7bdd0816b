//! When a token is good enough, and when to ask again. No clock: ages and instants come in.

use std::time::Duration;

use crate::error::TokenError;

/// What stands for "does not expire". Instants can be counted that far on every platform.
pub(super) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

const AHEAD_BACKOFF_MIN: Duration = Duration::from_secs(5);
const AHEAD_BACKOFF_MAX: Duration = Duration::from_secs(30);
const AHEAD_RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);
const REMEMBER_MIN: Duration = Duration::from_secs(1);
const REMEMBER_REFUSED_MAX: Duration = Duration::from_secs(5);
const REMEMBER_RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) refresh_ahead: Duration,
    pub(super) expiry_margin: Duration,
    pub(super) default_lifetime: Duration,
    pub(super) fetch_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Use it.
    Fresh,
    /// Use it, and get another behind it.
    Due,
    /// Get another first; use it only if that fails.
    Spent,
    /// Do not use it.
    Expired,
}

/// The ages at which a token passes from one phase to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) due: Duration,
    pub(super) spent: Duration,
    pub(super) expiry: Duration,
}

impl Windows {
    /// `jitter` is drawn from 0 to 1. It moves `due` later by up to half of the refresh-ahead
    /// window, so that a fleet started at once does not come back at once.
    pub(super) fn new(policy: &Policy, lifetime: Duration, jitter: f64) -> Self {
        let expiry = lifetime.min(FOREVER);
        let ahead = policy.refresh_ahead.min(expiry / 5);
        let spent = expiry - policy.expiry_margin.min(expiry / 10);
        let due = expiry - ahead + ahead.mul_f64(jitter.clamp(0.0, 1.0) / 2.0);
        Self { due: due.min(spent), spent, expiry }
    }

    /// For an issuer that hands out the same token until it expires: asking ahead is of no use.
    pub(super) fn without_ahead(self) -> Self {
        Self { due: self.spent, ..self }
    }

    pub(super) fn phase(&self, age: Duration) -> Phase {
        if age < self.due {
            Phase::Fresh
        } else if age < self.spent {
            Phase::Due
        } else if age < self.expiry {
            Phase::Spent
        } else {
            Phase::Expired
        }
    }
}

/// How long to leave the issuer alone while the token is still good. `failures` counts those in
/// a row, this one included; `jitter` is drawn from 0 to 1.
pub(super) fn ahead_backoff(
    error: &TokenError,
    failures: u32,
    remaining: Duration,
    jitter: f64,
) -> Duration {
    let asked = error.retry_after().unwrap_or_default().min(AHEAD_RETRY_AFTER_MAX);
    let backoff = doubling(AHEAD_BACKOFF_MIN, AHEAD_BACKOFF_MAX, failures);
    backoff.mul_f64(jitter.clamp(0.0, 1.0)).max(asked).min(remaining / 2)
}

/// How long a failure is the answer to callers for whom there is no better one. A token that
/// still remains is a better one, and the moment it is gone the issuer is worth another try.
pub(crate) fn remember(error: &TokenError, failures: u32, remaining: Option<Duration>) -> Duration {
    let wait = match error.retry_after() {
        Some(asked) => return asked.clamp(REMEMBER_MIN, REMEMBER_RETRY_AFTER_MAX),
        None if error.is_transient() => REMEMBER_MIN,
        None => doubling(REMEMBER_MIN, REMEMBER_REFUSED_MAX, failures),
    };
    remaining.map_or(wait, |remaining| wait.min(remaining))
}

/// `min` at the first step, twice that at the second, and so on up to `max`.
pub(super) fn doubling(min: Duration, max: Duration, step: u32) -> Duration {
    min.saturating_mul(2u32.saturating_pow(step.saturating_sub(1))).min(max)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        refresh_ahead: Duration::from_secs(300),
        expiry_margin: Duration::from_secs(30),
        default_lifetime: Duration::from_secs(300),
        fetch_timeout: Duration::from_secs(10),
    };

    fn windows(lifetime: u64, jitter: f64) -> Windows {
        Windows::new(&POLICY, Duration::from_secs(lifetime), jitter)
    }

    #[test]
    fn windows_of_a_long_token_are_the_configured_ones() {
        let windows = windows(12 * 3600, 0.0);
        assert_eq!(windows.due, Duration::from_secs(12 * 3600 - 300));
        assert_eq!(windows.spent, Duration::from_secs(12 * 3600 - 30));
    }

    #[test]
    fn windows_of_a_short_token_scale_with_its_lifetime() {
        for lifetime in [5, 60, 300] {
            let windows = windows(lifetime, 0.0);
            assert_eq!(windows.due, Duration::from_secs(lifetime) * 4 / 5);
            assert_eq!(windows.spent, Duration::from_secs(lifetime) * 9 / 10);
        }
    }

    #[test]
    fn jitter_only_delays_and_never_reaches_into_the_margin() {
        let earliest = windows(300, 0.0);
        let latest = windows(300, 1.0);
        assert_eq!(latest.due - earliest.due, Duration::from_secs(30));
        assert!(latest.due <= latest.spent);
    }

    #[test]
    fn a_lifetime_of_zero_has_expired_at_once() {
        assert_eq!(windows(0, 0.5).phase(Duration::ZERO), Phase::Expired);
    }

    #[test]
    fn ahead_backoff_doubles_and_stays_within_half_of_what_remains() {
        let error = TokenError::unavailable("down");
        let wait = |failures, remaining| {
            ahead_backoff(&error, failures, Duration::from_secs(remaining), 1.0).as_secs()
        };
        assert_eq!([1, 2, 3, 4, 50].map(|failures| wait(failures, 1000)), [5, 10, 20, 30, 30]);
        assert_eq!(wait(4, 20), 10);
        let asked = TokenError::unavailable("down").retry_in(Duration::from_secs(3600));
        let remaining = Duration::from_secs(7200);
        assert_eq!(ahead_backoff(&asked, 1, remaining, 0.0), AHEAD_RETRY_AFTER_MAX);
    }

    #[test]
    fn failures_are_remembered_by_their_kind() {
        let transient = TokenError::unavailable("down");
        assert_eq!(remember(&transient, 9, None), Duration::from_secs(1));
        let refused = TokenError::refused("bad secret");
        let waits = [1, 2, 3, 4, 5].map(|failures| remember(&refused, failures, None).as_secs());
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        let asked = transient.retry_in(Duration::from_secs(600));
        assert_eq!(remember(&refused, 4, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(remember(&asked, 1, None), REMEMBER_RETRY_AFTER_MAX);
        assert_eq!(remember(&asked.retry_in(Duration::ZERO), 1, None), REMEMBER_MIN);
    }
}
