//! A number of fetches that can be had at once, and one more each time a while has passed.

use std::time::Duration;

use tokio::time::Instant;

/// What has been spent of a budget and has not come back yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// When nothing is spent any more.
    whole: Option<Instant>,
}

impl Spent {
    /// One more of so many, each of which comes back after the one before it.
    pub(super) fn spend(&mut self, now: Instant, of: u32, every: Duration) {
        let whole = self.whole.map_or(now, |whole| whole.max(now)) + every;
        self.whole = Some(whole.min(now + every * of));
    }

    /// How long until one more can be had of so many, which is no time if it can be had now.
    pub(super) fn wait(self, now: Instant, of: u32, every: Duration) -> Duration {
        let spent = self.whole.map_or(Duration::ZERO, |whole| whole.saturating_duration_since(now));
        spent.saturating_sub(every * of.saturating_sub(1))
    }

    pub(super) fn whole(self) -> Option<Instant> {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_beyond_a_budget_is_not_owed() {
        let (now, every) = (Instant::now(), Duration::from_secs(12));
        let mut spent = Spent::default();
        for _ in 0..7 {
            spent.spend(now, 3, every);
        }
        assert_eq!(spent.wait(now, 3, every), every);
        assert_eq!(spent.wait(now + every, 3, every), Duration::ZERO);
    }
}
