//! May a rejection force another fetch now? No clock: `now` comes in.
//!
//! What counts is whether a new token helps. An API that refuses every token is asked to wait
//! longer and longer; one that accepts the new token is not. Each source of rejections is judged
//! by itself, so that an API which refuses everything cannot keep another from healing after a
//! real revocation. Where new tokens help, but are refused again all the time, there is a budget.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::schedule::doubling;
use crate::token::TokenId;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30);
/// A token that nobody has complained about for so long has helped.
const SETTLED: Duration = Duration::from_secs(5);
/// So many forced fetches at once, and one more each time this much has passed.
const BUDGET: u32 = 10;
const EARNED_EVERY: Duration = Duration::from_secs(6);
const SOURCES: usize = 64;

/// Who refused a token. The cache does not care what stands behind the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(pub(crate) u64);

impl Source {
    pub(crate) const UNKNOWN: Self = Self(0);
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cooldowns {
    sources: HashMap<Source, Record>,
}

/// What is known of one source.
#[derive(Clone, Debug)]
struct Record {
    /// How many of its last forced fetches in a row were no help.
    step: u32,
    /// It cannot force another before.
    until: Instant,
    /// When its budget is whole again.
    whole: Instant,
    /// The last token that it had fetched.
    forced: TokenId,
    landed: Instant,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Untested,
    Helped,
    NoHelp,
}

impl Cooldowns {
    /// A token has come that a rejection from this source asked for.
    pub(super) fn forced(&mut self, by: Source, token: TokenId, landed: Instant) {
        self.forget_old(landed);
        let by = self.key(by);
        let record = self.sources.entry(by).or_insert_with(|| Record {
            step: 0,
            until: landed,
            whole: landed,
            forced: token,
            landed,
            verdict: Verdict::Untested,
        });
        record.whole = record.whole.max(landed) + EARNED_EVERY;
        record.forced = token;
        record.landed = landed;
        record.verdict = Verdict::Untested;
    }

    /// A token has come that a rejection from this source asked for, and it is the refused one.
    pub(super) fn unchanged(&mut self, by: Source, token: TokenId, landed: Instant) {
        self.forced(by, token, landed);
        self.refused(by, token);
    }

    /// A request was sent once more with this token, and was accepted.
    pub(super) fn accepted(&mut self, by: Source, token: TokenId) {
        if let Some(record) = self.forced_by(by, token) {
            if record.verdict == Verdict::Untested {
                record.verdict = Verdict::Helped;
            }
        }
    }

    /// A request was sent once more with this token, and was refused again.
    pub(super) fn refused(&mut self, by: Source, token: TokenId) {
        if let Some(record) = self.forced_by(by, token) {
            record.no_help();
        }
    }

    /// The token in the cache was refused. May that force a fetch?
    pub(super) fn allows(&mut self, by: Source, now: Instant) -> bool {
        let by = self.key(by);
        let Some(record) = self.sources.get_mut(&by) else { return true };
        match record.verdict {
            Verdict::Helped => record.helped(now),
            Verdict::Untested if now.saturating_duration_since(record.landed) >= SETTLED => {
                record.helped(now);
            }
            Verdict::Untested => record.no_help(),
            Verdict::NoHelp => {}
        }
        let owed = record.whole.saturating_duration_since(now);
        now >= record.until && owed <= EARNED_EVERY * (BUDGET - 1)
    }

    /// Until when this says anything.
    #[cfg(feature = "token-caches")]
    pub(super) fn until(&self) -> Option<Instant> {
        self.sources.values().map(|record| record.until.max(record.whole)).max()
    }

    fn forced_by(&mut self, by: Source, token: TokenId) -> Option<&mut Record> {
        let by = self.key(by);
        self.sources.get_mut(&by).filter(|record| record.forced == token)
    }

    /// When there are too many sources, those that are new share one record.
    fn key(&self, by: Source) -> Source {
        match self.sources.len() < SOURCES || self.sources.contains_key(&by) {
            true => by,
            false => Source::UNKNOWN,
        }
    }

    fn forget_old(&mut self, now: Instant) {
        if self.sources.len() >= SOURCES {
            self.sources.retain(|_, record| now < record.until.max(record.whole) + MAX);
        }
    }
}

impl Record {
    /// Counts once for each token, however many requests find out. A token that one request
    /// found good and another refused was no help.
    fn no_help(&mut self) {
        if self.verdict != Verdict::NoHelp {
            self.verdict = Verdict::NoHelp;
            self.step = self.step.saturating_add(1);
            self.until = self.landed + doubling(MIN, MAX, self.step);
        }
    }

    fn helped(&mut self, now: Instant) {
        self.step = 0;
        self.until = now;
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    const BAD: Source = Source(1);
    const GOOD: Source = Source(2);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn token(n: u64) -> TokenId {
        Token::bearer(&format!("t{n}")).expect("a good token").id()
    }

    #[test]
    fn a_replay_that_is_refused_again_doubles_the_wait_up_to_its_cap() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut waits = Vec::new();
        for n in 0..7 {
            assert!(cooldowns.allows(BAD, now));
            cooldowns.forced(BAD, token(n), now);
            cooldowns.refused(BAD, token(n));
            let asked = now;
            while !cooldowns.allows(BAD, now) {
                now += seconds(1);
            }
            waits.push((now - asked).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_replay_that_is_accepted_clears_the_wait() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
        cooldowns.forced(BAD, token(2), now + seconds(1));
        cooldowns.accepted(BAD, token(2));
        assert!(cooldowns.allows(BAD, now + seconds(1)));
    }

    #[test]
    fn a_token_refused_by_many_requests_counts_once() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        for _ in 0..1000 {
            cooldowns.refused(BAD, token(1));
            assert!(!cooldowns.allows(BAD, now));
        }
        assert!(cooldowns.allows(BAD, now + seconds(1)));
    }

    #[test]
    fn one_source_does_not_hold_up_another() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
        assert!(cooldowns.allows(GOOD, now));
    }

    #[test]
    fn acceptance_by_one_source_says_nothing_about_another() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        cooldowns.accepted(GOOD, token(1));
        assert!(!cooldowns.allows(BAD, now));
    }

    #[test]
    fn a_refused_replay_outweighs_an_accepted_one() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        cooldowns.accepted(BAD, token(1));
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
    }

    #[test]
    fn a_forced_token_that_was_good_for_a_while_counts_as_a_help() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, token(1), now);
        assert!(cooldowns.allows(BAD, now + SETTLED));
    }

    #[test]
    fn tokens_that_help_but_do_not_last_have_a_budget() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut forced = 0;
        for n in 0..600 {
            if cooldowns.allows(BAD, now) {
                cooldowns.forced(BAD, token(n), now);
                cooldowns.accepted(BAD, token(n));
                forced += 1;
            }
            now += Duration::from_millis(100);
        }
        assert!((BUDGET..=2 * BUDGET).contains(&forced), "{forced} in a minute");
    }

    #[test]
    fn sources_are_bounded_and_the_rest_wait_together() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for source in 1..=1000 {
            cooldowns.forced(Source(source), token(source), now);
            cooldowns.refused(Source(source), token(source));
        }
        assert!(cooldowns.sources.len() <= SOURCES + 1);
        assert!(!cooldowns.allows(Source(5000), now));
    }
}
