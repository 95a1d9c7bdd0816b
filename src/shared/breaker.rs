//! Leaves a store alone for a while that has failed. No clock: `now` is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How long, at least. Half as long at most is added, so that not all processes come back at once.
const REST: Duration = Duration::from_secs(5);
const WARN_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    open_until: Option<Instant>,
    warned: Option<Instant>,
}

impl Breaker {
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// `draw` is drawn from 0 to 1. Returns whether this is worth a warning.
    pub(super) fn failed(&mut self, now: Instant, draw: f64) -> bool {
        self.open_until = Some(now + REST.mul_f64(1.0 + draw.clamp(0.0, 1.0) / 2.0));
        let is_due = self.warned.is_none_or(|warned| now >= warned + WARN_EVERY);
        if is_due {
            self.warned = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_store_is_left_alone_for_5_to_7_5_seconds() {
        let now = Instant::now();
        for (draw, rest) in [(0.0, 5.0), (1.0, 7.5)] {
            let mut breaker = Breaker::default();
            assert!(!breaker.is_open(now));
            breaker.failed(now, draw);
            let until = now + Duration::from_secs_f64(rest);
            assert!(breaker.is_open(until - Duration::from_millis(1)));
            assert!(!breaker.is_open(until));
        }
    }

    #[test]
    fn failures_are_warned_of_once_a_minute() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        let warnings = (0..180).filter(|second| {
            let now = start + Duration::from_secs(*second);
            breaker.failed(now, 0.5)
        });
        assert_eq!(warnings.collect::<Vec<_>>(), [0, 60, 120]);
    }
}
