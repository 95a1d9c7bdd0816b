//! May a rejection force another fetch now? No clock: `now` comes in.
//!
//! What counts is whether a new token helps. An API that refuses every token is asked to wait
//! longer and longer; one that accepts the new token is not. Each source of rejections is judged
//! by itself, so that an API which refuses everything cannot keep another from healing after a
//! real revocation.
//!
//! All sources together have one budget of forced fetches. Its last few are kept for those that are
//! likely to need them: a source that is new, and one that new tokens help. While fetches fail nothing
//! is kept for anyone, since the first that succeeds heals all.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use self::budget::Spent;
use super::schedule::doubling;
use crate::token::TokenId;

mod budget;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30);
/// A token that nobody has complained about for so long has helped.
const SETTLED: Duration = Duration::from_secs(5);

/// So many forced fetches at once, and one more each time this much has passed: 20 in any minute.
const AT_ONCE: u32 = 10;
const EARNED_EVERY: Duration = Duration::from_secs(6);
/// A source has the first of them, whatever is known of it.
const FOR_ANY: u32 = 7;
/// One that is new has one more.
const FOR_NEW: u32 = FOR_ANY + 1;
/// One that new tokens help has the others too, if it forces few fetches: so many at once, and one
/// more each time this much has passed. Two such sources do not use up what is earned.
const FEW: u32 = AT_ONCE - FOR_ANY;
const FEW_EVERY: Duration = Duration::from_secs(12);

/// More than can have forced a fetch in the time for which that matters.
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
    /// By all sources, those that are forgotten too.
    spent: Spent,
    /// The last forced fetch has brought no token.
    failing: bool,
}

/// What is known of one source.
#[derive(Clone, Debug)]
struct Record {
    /// How many of its last forced fetches in a row were no help.
    step: u32,
    /// It cannot force another before.
    until: Instant,
    /// Of the few fetches of a source that new tokens help.
    spent: Spent,
    /// The last token that it had fetched, if a fetch of its has succeeded.
    forced: Option<Forced>,
}

#[derive(Clone, Debug)]
struct Forced {
    token: TokenId,
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
    /// A fetch begins that a rejection from this source asked for.
    pub(super) fn launched(&mut self, by: Source, began: Instant) {
        self.failing = true;
        self.spent.spend(began, AT_ONCE, EARNED_EVERY);
        self.record(by, began).spent.spend(began, FEW, FEW_EVERY);
    }

    /// A token has come that a rejection from this source asked for.
    pub(super) fn forced(&mut self, by: Source, token: TokenId, landed: Instant) {
        self.failing = false;
        let verdict = Verdict::Untested;
        self.record(by, landed).forced = Some(Forced { token, landed, verdict });
    }

    /// A token has come that a rejection from this source asked for, and it is the refused one.
    pub(super) fn unchanged(&mut self, by: Source, token: TokenId, landed: Instant) {
        self.forced(by, token, landed);
        self.refused(by, token);
    }

    /// A request was sent once more with this token, and was accepted.
    pub(super) fn accepted(&mut self, by: Source, token: TokenId) {
        let forced = self.sources.get_mut(&by).and_then(|record| record.forced.as_mut());
        if let Some(forced) = forced.filter(|forced| forced.token == token) {
            if forced.verdict == Verdict::Untested {
                forced.verdict = Verdict::Helped;
            }
        }
    }

    /// A request was sent once more with this token, and was refused again.
    pub(super) fn refused(&mut self, by: Source, token: TokenId) {
        let record = self.sources.get_mut(&by);
        if let Some(record) = record.filter(|record| record.has_forced(token)) {
            record.no_help();
        }
    }

    /// The token in the cache was refused. May that force a fetch?
    pub(super) fn allows(&mut self, by: Source, now: Instant) -> bool {
        let cooled_down = self.sources.get_mut(&by).is_none_or(|record| {
            record.judge(now);
            now >= record.until
        });
        cooled_down && self.wait(by, now).is_zero()
    }

    /// Until when this says anything.
    #[cfg(feature = "token-caches")]
    pub(super) fn until(&self) -> Option<Instant> {
        let of_sources = self
            .sources
            .values()
            .map(|record| record.spent.whole().max(Some(record.until)).unwrap_or(record.until));
        of_sources.chain(self.spent.whole()).max()
    }

    /// How long until there is a fetch for this source in what all have together.
    pub(super) fn wait(&self, by: Source, now: Instant) -> Duration {
        let share = match self.sources.get(&by) {
            _ if self.failing => AT_ONCE,
            None => FOR_NEW,
            Some(record) => record.share(now),
        };
        self.spent.wait(now, share, EARNED_EVERY)
    }

    fn record(&mut self, by: Source, now: Instant) -> &mut Record {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&by) {
            self.forget_one(now);
        }
        self.sources.entry(by).or_insert_with(|| Record {
            step: 0,
            until: now,
            spent: Spent::default(),
            forced: None,
        })
    }

    /// The one that was heard of least lately. Those that new tokens help come last.
    fn forget_one(&mut self, now: Instant) {
        let least = |(_, record): &(&Source, &Record)| {
            (now < record.matters_until(), record.has_helped(), record.matters_until())
        };
        let forgotten = self.sources.iter().min_by_key(least).map(|(source, _)| *source);
        self.sources.retain(|source, _| Some(*source) != forgotten);
    }
}

impl Record {
    /// What the last forced token was worth, now that the one in the cache was refused.
    fn judge(&mut self, now: Instant) {
        let Some(forced) = &mut self.forced else { return };
        let settled = now.saturating_duration_since(forced.landed) >= SETTLED;
        match forced.verdict {
            Verdict::Untested if !settled => self.no_help(),
            Verdict::Untested | Verdict::Helped => {
                forced.verdict = Verdict::Helped;
                self.step = 0;
                self.until = now;
            }
            Verdict::NoHelp => {}
        }
    }

    /// Counts once for each token, however many requests find out. A token that one request
    /// found good and another refused was no help.
    fn no_help(&mut self) {
        let Some(forced) = &mut self.forced else { return };
        if forced.verdict != Verdict::NoHelp {
            forced.verdict = Verdict::NoHelp;
            self.step = self.step.saturating_add(1);
            self.until = forced.landed + doubling(MIN, MAX, self.step);
        }
    }

    /// How many of the fetches that all have together are there for it.
    fn share(&self, now: Instant) -> u32 {
        let few = self.spent.wait(now, FEW, FEW_EVERY).is_zero();
        match &self.forced {
            Some(_) if few && self.has_helped() => AT_ONCE,
            None if few => FOR_NEW,
            _ => FOR_ANY,
        }
    }

    fn has_forced(&self, token: TokenId) -> bool {
        self.forced.as_ref().is_some_and(|forced| forced.token == token)
    }

    fn has_helped(&self) -> bool {
        self.forced.as_ref().is_some_and(|forced| forced.verdict == Verdict::Helped)
    }

    /// From then on the source is treated as one that is new, or better.
    fn matters_until(&self) -> Instant {
        self.spent.whole().map_or(self.until, |whole| whole.max(self.until)) + MAX
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

    impl Cooldowns {
        /// A fetch that takes no time.
        pub(super) fn fetched(&mut self, by: Source, token: TokenId, now: Instant) {
            self.launched(by, now);
            self.forced(by, token, now);
        }
    }

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
            cooldowns.fetched(BAD, token(n), now);
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
        cooldowns.fetched(BAD, token(1), now);
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
        cooldowns.fetched(BAD, token(2), now + seconds(1));
        cooldowns.accepted(BAD, token(2));
        assert!(cooldowns.allows(BAD, now + seconds(1)));
    }

    #[test]
    fn a_token_refused_by_many_requests_counts_once() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.fetched(BAD, token(1), now);
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
        cooldowns.fetched(BAD, token(1), now);
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
        assert!(cooldowns.allows(GOOD, now));
    }

    #[test]
    fn acceptance_by_one_source_says_nothing_about_another() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.fetched(BAD, token(1), now);
        cooldowns.accepted(GOOD, token(1));
        assert!(!cooldowns.allows(BAD, now));
    }

    #[test]
    fn a_refused_replay_outweighs_an_accepted_one() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.fetched(BAD, token(1), now);
        cooldowns.accepted(BAD, token(1));
        cooldowns.refused(BAD, token(1));
        assert!(!cooldowns.allows(BAD, now));
    }

    #[test]
    fn a_forced_token_that_was_good_for_a_while_counts_as_a_help() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.fetched(BAD, token(1), now);
        assert!(cooldowns.allows(BAD, now + SETTLED));
    }

    #[test]
    fn tokens_that_help_but_do_not_last_have_a_budget() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut forced = 0;
        for n in 0..600 {
            if cooldowns.allows(BAD, now) {
                cooldowns.fetched(BAD, token(n), now);
                cooldowns.accepted(BAD, token(n));
                forced += 1;
            }
            now += Duration::from_millis(100);
        }
        assert!((AT_ONCE..=2 * AT_ONCE).contains(&forced), "{forced} in a minute");
    }

    #[test]
    fn sources_are_bounded_and_the_rest_wait_together() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for source in 1..=1000 {
            cooldowns.fetched(Source(source), token(source), now);
            cooldowns.refused(Source(source), token(source));
        }
        assert!(cooldowns.sources.len() <= SOURCES);
        assert!(!cooldowns.allows(Source(5000), now));
    }

    /// A source that new tokens help, for a while, forces whatever it may.
    fn use_up(cooldowns: &mut Cooldowns, by: Source, now: Instant) -> u32 {
        (0..100).filter(|_| cooldowns.helps(by, now)).count() as u32
    }

    impl Cooldowns {
        fn helps(&mut self, by: Source, now: Instant) -> bool {
            let allowed = self.allows(by, now);
            if allowed {
                self.fetched(by, token(0), now);
                self.accepted(by, token(0));
            }
            allowed
        }
    }

    #[test]
    fn all_sources_together_have_ten_fetches_at_once_and_one_more_every_six_seconds() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let all = |cooldowns: &mut Cooldowns, now| {
            (1..=50).map(|source| use_up(cooldowns, Source(source), now)).sum::<u32>()
        };
        for source in 1..=50 {
            assert!(cooldowns.helps(Source(source), now));
            now += seconds(60);
        }
        assert_eq!(all(&mut cooldowns, now), AT_ONCE);
        for _ in 0..100 {
            now += Duration::from_millis(5_999);
            assert_eq!(all(&mut cooldowns, now), 0);
            now += Duration::from_millis(1);
            assert_eq!(all(&mut cooldowns, now), 1);
        }
    }

    #[test]
    fn one_source_leaves_three_fetches_to_a_new_one() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        assert_eq!(use_up(&mut cooldowns, BAD, now), 7);
        // The eighth is there for any new source. It helps, so the last two are there for this one.
        assert_eq!(use_up(&mut cooldowns, GOOD, now), 3);
    }

    #[test]
    fn fetches_that_fail_count_and_nothing_is_kept_for_others_meanwhile() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for _ in 0..AT_ONCE {
            assert!(cooldowns.allows(BAD, now));
            cooldowns.launched(BAD, now);
        }
        assert!(!cooldowns.allows(BAD, now));
        assert!(!cooldowns.allows(GOOD, now + Duration::from_millis(5_999)));
        assert!(cooldowns.allows(GOOD, now + seconds(6)));
    }

    #[test]
    fn new_sources_leave_two_fetches_to_one_that_new_tokens_have_helped() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        assert!(cooldowns.helps(GOOD, now));
        now += seconds(60);
        let mut forced = 0;
        for source in 100..200 {
            if cooldowns.allows(Source(source), now) {
                cooldowns.fetched(Source(source), token(source), now);
                cooldowns.refused(Source(source), token(source));
                forced += 1;
            }
        }
        assert_eq!(forced, 8);
        assert_eq!(use_up(&mut cooldowns, GOOD, now), 2);
    }

    #[test]
    fn a_source_that_new_tokens_help_is_remembered_while_many_others_come_and_go() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        assert!(cooldowns.helps(GOOD, now));
        for source in 100..1000 {
            now += seconds(6);
            assert!(cooldowns.allows(Source(source), now));
            cooldowns.fetched(Source(source), token(source), now);
            cooldowns.refused(Source(source), token(source));
        }
        assert_eq!(cooldowns.sources.len(), SOURCES);
        assert!(cooldowns.sources[&GOOD].has_helped());
        assert!(!cooldowns.allows(Source(999), now));
    }
}
