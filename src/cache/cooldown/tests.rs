use super::*;
use crate::token::Token;

const BAD: Source = Source(1);
const GOOD: Source = Source(2);
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

impl Cooldowns {
    pub(super) fn allows(&self, by: Source, now: Instant) -> bool {
        self.wait(by, now).is_zero()
    }

    /// A fetch that takes no time.
    pub(super) fn fetched(
        &mut self,
        by: Source,
        token: TokenId,
        lifetime: Option<Duration>,
        now: Instant,
    ) {
        self.launched(now);
        self.forced(by, token, lifetime, now);
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn token(n: u64) -> TokenId {
    Token::bearer(&format!("t{n}")).expect("a good token").id()
}

/// The waits of a source that rejects every token, and is asked ten times a second.
fn waits(lifetime: Option<Duration>, of: usize) -> Vec<u64> {
    let mut now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    let mut waits = Vec::new();
    for n in 0..of as u64 {
        cooldowns.fetched(BAD, token(n), lifetime, now);
        let asked = now;
        cooldowns.rejected_again(BAD, token(n), now);
        while !cooldowns.allows(BAD, now) {
            now += Duration::from_millis(100);
            cooldowns.rejected(BAD, now);
        }
        waits.push((now - asked).as_secs());
    }
    waits
}

#[test]
fn the_wait_doubles_up_to_half_of_the_lifetime() {
    for (lifetime, expected) in [
        (HOUR, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
        (Some(seconds(300)), [1, 2, 4, 8, 16, 32, 64, 128, 150, 150, 150]),
        (Some(seconds(20)), [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]),
        (Some(Duration::MAX), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
        (None, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]),
    ] {
        assert_eq!(waits(lifetime, expected.len()), expected, "{lifetime:?}");
    }
}

#[test]
fn a_token_rejected_by_many_requests_counts_once() {
    let now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    cooldowns.fetched(BAD, token(1), HOUR, now);
    for _ in 0..1000 {
        cooldowns.rejected_again(BAD, token(1), now);
        cooldowns.rejected(BAD, now);
        assert_eq!(cooldowns.wait(BAD, now), seconds(1));
    }
}

#[test]
fn one_source_does_not_hold_up_another() {
    let now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    cooldowns.fetched(BAD, token(1), HOUR, now);
    cooldowns.rejected(GOOD, now);
    assert!(cooldowns.allows(BAD, now));
    cooldowns.rejected(BAD, now);
    assert!(!cooldowns.allows(BAD, now));
    assert!(cooldowns.allows(GOOD, now));
}

#[test]
fn a_late_rejection_of_an_older_token_says_nothing_of_the_new() {
    let now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    cooldowns.fetched(BAD, token(1), HOUR, now);
    cooldowns.fetched(BAD, token(2), HOUR, now);
    cooldowns.rejected_again(BAD, token(1), now);
    assert!(cooldowns.allows(BAD, now));
}

#[test]
fn a_token_that_came_after_the_forced_one_counts_in_its_place() {
    let now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    cooldowns.fetched(BAD, token(1), HOUR, now);
    cooldowns.fetched(GOOD, token(2), HOUR, now);
    cooldowns.rejected(BAD, now);
    assert!(!cooldowns.allows(BAD, now));
}

#[test]
fn two_revocations_a_second_apart_or_more_heal_at_once() {
    for apart in [1, 2, 4, 5, 30] {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for n in 0..2 {
            cooldowns.rejected(GOOD, now);
            assert!(cooldowns.allows(GOOD, now), "{apart} s apart");
            cooldowns.fetched(GOOD, token(n + 1), HOUR, now);
            now += seconds(apart);
        }
    }
}

#[test]
fn a_source_without_rejections_for_its_wait_starts_anew() {
    for (rejected, quiet) in [(1, 5), (3, 5), (4, 8), (5, 16), (9, 256)] {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        for n in 0..rejected {
            cooldowns.fetched(BAD, token(n), HOUR, now);
            cooldowns.rejected_again(BAD, token(n), now);
        }
        let wait = cooldowns.sources[&BAD].wait;
        let mut longer = cooldowns.clone();
        now += seconds(quiet) - Duration::from_millis(1);
        longer.rejected(BAD, now);
        assert_eq!(longer.sources[&BAD].wait, wait, "{rejected} rejected");
        cooldowns.rejected(BAD, now + Duration::from_millis(1));
        assert!(!cooldowns.sources.contains_key(&BAD), "{rejected} rejected");
    }
}

#[test]
fn a_second_attempt_that_takes_its_time_counts_too() {
    let now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    for n in 0..4 {
        cooldowns.fetched(BAD, token(n), HOUR, now);
        cooldowns.rejected_again(BAD, token(n), now + seconds(7));
    }
    assert_eq!(cooldowns.wait(BAD, now + seconds(7)), seconds(1));
}

#[test]
fn all_sources_share_ten_and_one_more_every_six_seconds() {
    let mut now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    let all = |cooldowns: &mut Cooldowns, now| {
        let mut forced = 0;
        for source in (1..=50).map(Source) {
            if cooldowns.allows(source, now) {
                // Those that fail count too.
                cooldowns.launched(now);
                forced += 1;
            }
        }
        forced
    };
    assert_eq!(all(&mut cooldowns, now), AT_ONCE);
    for _ in 0..100 {
        now += Duration::from_millis(5_999);
        assert_eq!(all(&mut cooldowns, now), 0);
        now += Duration::from_millis(1);
        assert_eq!(all(&mut cooldowns, now), 1);
    }
    now += seconds(3600);
    assert_eq!(all(&mut cooldowns, now), AT_ONCE);
}

#[test]
fn the_source_that_rejected_longest_ago_goes_first() {
    let mut now = Instant::now();
    let mut cooldowns = Cooldowns::default();
    for source in 1..=1000 {
        now += seconds(4);
        cooldowns.fetched(Source(source), token(source), HOUR, now);
        cooldowns.rejected_again(Source(source), token(source), now);
        cooldowns.rejected(Source(1), now);
    }
    assert_eq!(cooldowns.sources.len(), SOURCES);
    assert!(cooldowns.sources.contains_key(&Source(1)));
    assert!(cooldowns.sources.contains_key(&Source(938)));
    assert!(!cooldowns.sources.contains_key(&Source(937)));
}
