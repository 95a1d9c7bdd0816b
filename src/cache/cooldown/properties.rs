//! What holds for any sequence of rejections.

use proptest::{collection, prelude::*};

use super::*;
use crate::token::Token;

const GOOD: Source = Source(0);
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

/// How a token fared that was fetched for a rejection.
#[derive(Clone, Copy, Debug)]
enum Fate {
    RejectedAgain,
    /// Nobody says.
    Silence,
    /// There is none.
    Failed,
}

/// The token in the cache is rejected, some time after the last event.
#[derive(Clone, Debug)]
struct Rejection {
    by: Source,
    after: Duration,
    fate: Fate,
}

fn rejections(by: impl Strategy<Value = u64>) -> impl Strategy<Value = Vec<Rejection>> {
    let after = prop_oneof![4 => 0..500u64, 3 => 500..5_000u64, 1 => 5_000..60_000u64];
    let fate = prop_oneof![
        6 => Just(Fate::RejectedAgain),
        3 => Just(Fate::Silence),
        1 => Just(Fate::Failed),
    ];
    let rejection = (by, after, fate).prop_map(|(by, after, fate)| Rejection {
        by: Source(by),
        after: Duration::from_millis(after),
        fate,
    });
    collection::vec(rejection, 1..300)
}

fn token(n: u64) -> TokenId {
    Token::bearer(&format!("t{n}")).expect("a good token").id()
}

/// A cache whose fetches take no time, and neither does the request that tries the new token.
struct Cache {
    cooldowns: Cooldowns,
    current: u64,
    fetches: Vec<Instant>,
}

impl Cache {
    fn new() -> Self {
        Self { cooldowns: Cooldowns::default(), current: 0, fetches: Vec::new() }
    }

    fn rejects(&mut self, by: Source, fate: Fate, now: Instant) -> bool {
        self.cooldowns.rejected(by, now);
        let allowed = self.cooldowns.allows(by, now);
        if allowed {
            self.fetches.push(now);
            self.cooldowns.launched(now);
            if !matches!(fate, Fate::Failed) {
                self.current += 1;
                self.cooldowns.forced(by, token(self.current), HOUR, now);
            }
            if matches!(fate, Fate::RejectedAgain) {
                self.cooldowns.rejected_again(by, token(self.current), now);
            }
        }
        allowed
    }

    fn fetches_in_last(&self, span: Duration, now: Instant) -> usize {
        self.fetches.iter().filter(|fetch| now - **fetch <= span).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn ten_are_forced_at_once_and_twenty_in_any_minute_at_most(
        rejections in rejections(prop_oneof![1..5u64, 5..500u64]),
    ) {
        let mut now = Instant::now();
        let mut cache = Cache::new();
        for Rejection { by, after, fate } in rejections {
            now += after;
            cache.rejects(by, fate, now);
            prop_assert!(cache.fetches_in_last(Duration::from_secs(5), now) <= 10);
            prop_assert!(cache.fetches_in_last(Duration::from_secs(60), now) <= 20);
        }
        prop_assert!(cache.cooldowns.sources.len() <= SOURCES);
    }

    /// Whatever it rejects, as long as it rejects something every 5 s.
    #[test]
    fn one_api_that_goes_on_rejecting_keeps_no_other_from_healing(
        rejections in rejections(Just(1)),
    ) {
        let mut now = Instant::now();
        let mut cache = Cache::new();
        for Rejection { by, after, fate } in rejections {
            now += after.min(QUIET - Duration::from_millis(1));
            let fate = if matches!(fate, Fate::Failed) { Fate::Silence } else { fate };
            cache.rejects(by, fate, now);
            let mut other = cache.cooldowns.clone();
            for _ in 0..2 {
                prop_assert!(other.allows(GOOD, now));
                other.launched(now);
            }
        }
    }

    /// An API whose clock is slow, and that is asked a few times a second.
    #[test]
    fn a_token_grows_as_old_as_an_api_wants_it(
        lifetime in 2..2_000u64,
        part in 0.0..=1.0f64,
        pauses in collection::vec(10..250u64, 1..20),
    ) {
        let lifetime = Duration::from_secs(lifetime);
        let delay = (lifetime / 2).min(LONGEST_WAIT).mul_f64(part);
        let start = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let (mut now, mut issued, mut current) = (start, start, 0);
        for pause in pauses.iter().cycle() {
            if now - issued >= delay {
                break;
            }
            cooldowns.rejected(GOOD, now);
            if cooldowns.allows(GOOD, now) {
                (issued, current) = (now, current + 1);
                cooldowns.launched(now);
                cooldowns.forced(GOOD, token(current), Some(lifetime), now);
                cooldowns.rejected_again(GOOD, token(current), now);
            }
            now += Duration::from_millis(*pause);
            prop_assert!(now - start <= delay * 3 + Duration::from_secs(2));
        }
    }
}
