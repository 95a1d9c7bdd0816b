//! May a rejection force another fetch now? No clock: `now` comes in.
//!
//! What counts is whether a new token helps. An API that refuses every token is asked to wait
//! longer and longer; one that accepts the new token is never asked to wait. Each source of
//! rejections is judged by itself, so that an API which refuses everything cannot keep another
//! from healing after a real revocation.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::schedule::doubling;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30);
const SOURCES: usize = 64;

/// Who refused a token. The cache does not care what stands behind the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(pub(crate) u64);

impl Source {
    pub(crate) const UNKNOWN: Self = Self(0);
}

#[derive(Clone, Copy, Debug)]
struct Cooldown {
    step: u32,
    until: Instant,
}

/// What is known of the token in the cache, where a rejection had it fetched.
#[derive(Clone, Copy, Debug)]
struct Forced {
    by: Source,
    landed: Instant,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Untested,
    Helped,
    NoHelp,
}

#[derive(Debug, Default)]
pub(super) struct Cooldowns {
    sources: HashMap<Source, Cooldown>,
    forced: Option<Forced>,
}

impl Cooldowns {
    /// A token has come that no rejection asked for.
    pub(super) fn renewed(&mut self) {
        self.forced = None;
    }

    /// A token has come that a rejection from this source asked for.
    pub(super) fn forced(&mut self, by: Source, landed: Instant) {
        self.forced = Some(Forced { by, landed, verdict: Verdict::Untested });
    }

    /// The forced fetch brought nothing new.
    pub(super) fn unchanged(&mut self, by: Source, landed: Instant) {
        self.forced(by, landed);
        self.no_help();
    }

    /// A request was sent once more with the token in the cache, and was accepted.
    pub(super) fn accepted(&mut self) {
        if let Some(forced) = self.forced.as_mut() {
            if forced.verdict == Verdict::Untested {
                forced.verdict = Verdict::Helped;
            }
        }
    }

    /// A request was sent once more with the token in the cache, and was refused again.
    pub(super) fn refused(&mut self, by: Source) {
        if self.forced.is_some_and(|forced| forced.by == by) {
            self.no_help();
        }
    }

    /// The token in the cache was refused. May that force a fetch?
    pub(super) fn allows(&mut self, by: Source, now: Instant) -> bool {
        if let Some(forced) = self.forced.filter(|forced| forced.by == by) {
            match forced.verdict {
                Verdict::Helped => {
                    self.sources.remove(&by);
                }
                // Nobody said how the token fared; that it lived this long says enough.
                Verdict::Untested if now.saturating_duration_since(forced.landed) >= MAX => {
                    self.sources.remove(&by);
                }
                Verdict::Untested => self.no_help(),
                Verdict::NoHelp => {}
            }
        }
        self.sources.get(&by).is_none_or(|cooldown| now >= cooldown.until)
    }

    /// Counts once for each token, however many requests find out. A token that one request
    /// found good and another refused was no help.
    fn no_help(&mut self) {
        let Some(forced) = self.forced.as_mut() else { return };
        if forced.verdict == Verdict::NoHelp {
            return;
        }
        forced.verdict = Verdict::NoHelp;
        let landed = forced.landed;
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&forced.by) {
            self.sources.retain(|_, cooldown| cooldown.until > landed);
            if self.sources.len() >= SOURCES {
                forced.by = Source::UNKNOWN;
            }
        }
        let cooldown = self.sources.entry(forced.by).or_insert(Cooldown { step: 0, until: landed });
        cooldown.step = cooldown.step.saturating_add(1);
        cooldown.until = landed + doubling(MIN, MAX, cooldown.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Source = Source(1);
    const GOOD: Source = Source(2);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_replay_that_is_refused_again_doubles_the_wait_up_to_its_cap() {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(cooldowns.allows(BAD, now));
            cooldowns.forced(BAD, now);
            cooldowns.refused(BAD);
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
        cooldowns.forced(BAD, now);
        cooldowns.refused(BAD);
        assert!(!cooldowns.allows(BAD, now));
        cooldowns.forced(BAD, now + seconds(1));
        cooldowns.accepted();
        assert!(cooldowns.allows(BAD, now + seconds(1)));
    }

    #[test]
    fn a_token_refused_by_many_requests_counts_once() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, now);
        for _ in 0..1000 {
            cooldowns.refused(BAD);
            assert!(!cooldowns.allows(BAD, now));
        }
        assert!(cooldowns.allows(BAD, now + seconds(1)));
    }

    #[test]
    fn one_source_does_not_hold_up_another() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, now);
        cooldowns.refused(BAD);
        assert!(!cooldowns.allows(BAD, now));
        assert!(cooldowns.allows(GOOD, now));
    }

    #[test]
    fn acceptance_elsewhere_does_not_outweigh_a_refused_replay() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, now);
        cooldowns.accepted();
        cooldowns.refused(BAD);
        assert!(!cooldowns.allows(BAD, now));
    }

    #[test]
    fn a_forced_token_that_lived_long_counts_as_a_help() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        cooldowns.forced(BAD, now);
        assert!(cooldowns.allows(BAD, now + MAX));
    }

    #[test]
    fn sources_are_bounded() {
        let now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for source in 1..1000 {
            cooldowns.forced(Source(source), now);
            cooldowns.refused(Source(source));
        }
        assert!(cooldowns.sources.len() <= SOURCES + 1);
    }
}
