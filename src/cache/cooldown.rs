//! May a rejection force another fetch now? No clock: `now` comes in.
//!
//! Two rules. Each source has a wait, which doubles while the tokens that were fetched for it are rejected in
//! turn. All sources together draw from one bucket of forced fetches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::token::TokenId;

/// The first wait of a source. Each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait is half of the token's lifetime, within these bounds. An API whose clock is slow rejects
/// young tokens, so a token needs the time to grow as old as that API wants it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const LONGEST_WAIT_OF_SHORT: Duration = Duration::from_secs(30);
/// A source that rejects nothing for as long as its wait, and at least for so long, starts anew.
const QUIET: Duration = Duration::from_secs(5);

/// So many forced fetches at once, and one more each time this much has passed.
const AT_ONCE: u32 = 10;
const EARNED_EVERY: Duration = Duration::from_secs(6);

/// More than can have forced a fetch in the time for which that matters.
const SOURCES: usize = 64;

/// Who rejected a token. The cache does not care what stands behind the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Source(pub(crate) u64);

impl Source {
    pub(crate) const UNKNOWN: Self = Self(0);
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cooldowns {
    sources: BTreeMap<Source, Record>,
    bucket: Bucket,
    /// Drawn from as well until then.
    common: Option<(CommonBucket, Instant)>,
}

/// The forced fetches that are left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// When it is full again, if it was ever drawn from.
    full_at: Option<Instant>,
}

/// A bucket of several caches, each of which has its own too.
pub(crate) type CommonBucket = Arc<Mutex<Bucket>>;

/// What is known of a source that has forced a fetch and has not started anew.
#[derive(Clone, Debug)]
struct Record {
    wait: Duration,
    /// It forces no other fetch before.
    until: Instant,
    rejected_at: Instant,
    /// The last token that was fetched for it, until it rejects that one or a newer one.
    forced: Option<Forced>,
}

#[derive(Clone, Debug)]
struct Forced {
    token: TokenId,
    landed: Instant,
    longest_wait: Duration,
    /// A second attempt with it was accepted.
    has_helped: bool,
}

impl Cooldowns {
    /// A fetch begins that a rejection asked for.
    pub(super) fn launched(&mut self, began: Instant) {
        self.bucket.draw(began);
        if let Some((common, _)) = self.common.as_ref().filter(|(_, until)| began < *until) {
            common.lock().unwrap_or_else(PoisonError::into_inner).draw(began);
        }
    }

    /// A token has come that a rejection from this source asked for.
    pub(super) fn forced(
        &mut self,
        by: Source,
        token: TokenId,
        lifetime: Option<Duration>,
        landed: Instant,
    ) {
        let longest_wait = lifetime.map_or(LONGEST_WAIT_OF_SHORT, |lifetime| {
            (lifetime / 2).clamp(LONGEST_WAIT_OF_SHORT, LONGEST_WAIT)
        });
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&by) {
            self.forget_one();
        }
        let record = self.sources.entry(by).or_insert(Record {
            wait: Duration::ZERO,
            until: landed,
            rejected_at: landed,
            forced: None,
        });
        record.rejected_at = landed;
        record.forced = Some(Forced { token, landed, longest_wait, has_helped: false });
    }

    /// The token in the cache was rejected by this source. If it is not the one that was last fetched for the
    /// source, it is newer than that.
    pub(super) fn rejected(&mut self, by: Source, now: Instant) {
        if self.sources.get(&by).is_some_and(|record| record.starts_anew(now)) {
            self.sources.remove(&by);
        }
        if let Some(record) = self.sources.get_mut(&by) {
            record.rejected(now);
        }
    }

    /// A second attempt with this token was accepted by this source, whose first it had rejected before.
    pub(super) fn accepted(&mut self, by: Source, token: TokenId) {
        let forced = self.sources.get_mut(&by).and_then(|record| record.forced.as_mut());
        if let Some(forced) = forced.filter(|forced| forced.token == token) {
            forced.has_helped = true;
        }
    }

    /// A second attempt with this token was rejected by this source, whose first it had rejected before.
    pub(super) fn rejected_again(&mut self, by: Source, token: TokenId, now: Instant) {
        let record = self.sources.get_mut(&by);
        if let Some(record) = record.filter(|record| record.has_forced(token)) {
            record.rejected(now);
        }
    }

    /// How long a rejection by this source may force no fetch.
    pub(super) fn wait(&self, by: Source, now: Instant) -> Duration {
        let of_source = self.sources.get(&by).map(|record| record.until);
        let common = self.common.as_ref().filter(|(_, until)| now < *until);
        let common =
            common.map(|(common, _)| *common.lock().unwrap_or_else(PoisonError::into_inner));
        let until = of_source.max(self.bucket.next_at()).max(common.and_then(Bucket::next_at));
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn forget_one(&mut self) {
        let quietest = self.sources.iter().min_by_key(|(_, record)| record.rejected_at);
        if let Some(source) = quietest.map(|(source, _)| *source) {
            self.sources.remove(&source);
        }
    }
}

#[cfg(feature = "token-caches")]
impl Cooldowns {
    /// Until when this says anything.
    pub(super) fn until(&self) -> Option<Instant> {
        self.sources.values().map(|record| record.until).chain(self.bucket.full_at).max()
    }

    /// Until then these fetches count for that bucket too.
    pub(super) fn draw_from(&mut self, common: CommonBucket, until: Instant) {
        self.common = Some((common, until));
    }
}

impl Bucket {
    fn draw(&mut self, began: Instant) {
        let full_at = self.full_at.map_or(began, |full_at| full_at.max(began)) + EARNED_EVERY;
        self.full_at = Some(full_at.min(began + EARNED_EVERY * AT_ONCE));
    }

    fn next_at(self) -> Option<Instant> {
        // A machine that has just started may have no moment so early.
        self.full_at?.checked_sub(EARNED_EVERY * (AT_ONCE - 1))
    }
}

impl Record {
    /// The last forced fetch has helped, or nothing was rejected for a while.
    fn starts_anew(&self, now: Instant) -> bool {
        let was_quiet = now.saturating_duration_since(self.rejected_at) >= self.wait.max(QUIET);
        was_quiet || self.forced.as_ref().is_some_and(|forced| forced.has_helped)
    }

    fn has_forced(&self, token: TokenId) -> bool {
        self.forced.as_ref().is_some_and(|forced| forced.token == token)
    }

    /// Counts once for each forced fetch, however many requests find out.
    fn rejected(&mut self, now: Instant) {
        self.rejected_at = now;
        if let Some(forced) = self.forced.take() {
            self.wait = (self.wait * 2).clamp(FIRST_WAIT, forced.longest_wait);
            self.until = forced.landed + self.wait;
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
