//! What holds for any sequence of rejections.

use proptest::{collection, prelude::*};

use super::*;
use crate::token::Token;

const GOOD: Source = Source(1);

/// How a token fared that was fetched for a rejection.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Accepted,
    Refused,
    /// The issuer gave the same token again.
    Unchanged,
    /// Nobody says.
    Silence,
    /// There is none.
    Failed,
}

/// The token in the cache is refused, some time after the last event.
#[derive(Clone, Debug)]
struct Rejection {
    by: Source,
    after: Duration,
    fate: Fate,
}

fn rejections(
    by: impl Strategy<Value = u64>,
    fate: impl Strategy<Value = Fate>,
) -> impl Strategy<Value = Vec<Rejection>> {
    let after = prop_oneof![4 => 0..500u64, 3 => 500..5_000u64, 1 => 5_000..60_000u64];
    let rejection = (by, after, fate).prop_map(|(by, after, fate)| Rejection {
        by: Source(by),
        after: Duration::from_millis(after),
        fate,
    });
    collection::vec(rejection, 1..300)
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![9 => any_fate_of_a_token(), 1 => Just(Fate::Failed)]
}

fn any_fate_of_a_token() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::Accepted),
        4 => Just(Fate::Refused),
        2 => Just(Fate::Unchanged),
        2 => Just(Fate::Silence),
    ]
}

impl Cooldowns {
    /// The fetch that was allowed takes no time, and neither does the request that tries its token.
    fn fetch(&mut self, by: Source, now: Instant, fate: Fate) {
        let token = Token::bearer("t").expect("a good token").id();
        self.launched(by, now);
        match fate {
            Fate::Failed => return,
            Fate::Unchanged => return self.unchanged(by, token, now),
            _ => self.forced(by, token, now),
        }
        match fate {
            Fate::Accepted => self.accepted(by, token),
            Fate::Refused => self.refused(by, token),
            Fate::Unchanged | Fate::Silence | Fate::Failed => {}
        }
    }
}

/// What one source may do, told by its last fetch and how many before it were no help in a row.
#[derive(Default)]
struct Model {
    last: Option<(Instant, Fate)>,
    in_a_row: u32,
    fetches: Vec<Instant>,
    failing: bool,
}

impl Model {
    fn allows(&mut self, now: Instant) -> bool {
        let Some((landed, fate)) = self.last else { return self.affords(now) };
        let waited = now - landed;
        match fate {
            Fate::Accepted => self.in_a_row = 0,
            Fate::Silence if waited >= SETTLED => self.in_a_row = 0,
            Fate::Silence => {
                self.in_a_row += 1;
                self.last = Some((landed, Fate::Refused));
            }
            Fate::Refused | Fate::Unchanged | Fate::Failed => {}
        }
        let waits = [0, 1, 2, 4, 8, 16, 30];
        waited >= Duration::from_secs(waits[self.in_a_row.min(6) as usize]) && self.affords(now)
    }

    fn affords(&self, now: Instant) -> bool {
        let share = if self.failing { AT_ONCE } else { FOR_ANY };
        affords(&self.fetches, now, share, EARNED_EVERY)
    }

    fn fetch(&mut self, now: Instant, fate: Fate) {
        self.fetches.push(now);
        self.failing = matches!(fate, Fate::Failed);
        if self.failing {
            return;
        }
        self.last = Some((now, fate));
        if let Fate::Refused | Fate::Unchanged = fate {
            self.in_a_row += 1;
        }
    }
}

/// No time since has had more fetches than its share and so many at once.
fn affords(fetches: &[Instant], now: Instant, at_once: u32, every: Duration) -> bool {
    fetches.iter().enumerate().all(|(n, since)| {
        let fetches = u32::try_from(fetches.len() - n).expect("few fetches");
        every * fetches <= (now - *since) + every * (at_once - 1)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_source_waits_as_its_model_does(rejections in rejections(Just(1), any_fate())) {
        let mut now = Instant::now();
        let (mut cooldowns, mut model) = (Cooldowns::default(), Model::default());
        for Rejection { by, after, fate } in rejections {
            now += after;
            let allowed = cooldowns.allows(by, now);
            prop_assert_eq!(allowed, model.allows(now));
            if allowed {
                cooldowns.fetch(by, now, fate);
                model.fetch(now, fate);
            }
        }
        prop_assert!(cooldowns.allows(Source(1), now + MAX));
    }

    /// Each wait is twice the one before it, so n fetches take 2^(n-1) - 1 seconds or more, and a
    /// source that starts over has waited for 30. So no source causes more than 5 in any 30 s.
    #[test]
    fn sources_that_nothing_helps_are_held_to_five_fetches_in_half_a_minute(
        rejections in rejections(1..5u64, prop_oneof![Just(Fate::Refused), Just(Fate::Unchanged)]),
    ) {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut fetches: HashMap<Source, Vec<Instant>> = HashMap::new();
        for Rejection { by, after, fate } in rejections {
            now += after;
            if cooldowns.allows(by, now) {
                cooldowns.fetch(by, now, fate);
                let fetches = fetches.entry(by).or_default();
                fetches.push(now);
                let lately = fetches.iter().filter(|fetch| now - **fetch <= MAX).count();
                prop_assert!(lately <= 5, "{lately} fetches");
            }
        }
    }

    #[test]
    fn all_sources_together_force_ten_fetches_at_once_and_twenty_in_any_minute_at_most(
        rejections in rejections(prop_oneof![1..5u64, 5..500u64], any_fate()),
    ) {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut fetches: Vec<Instant> = Vec::new();
        for Rejection { by, after, fate } in rejections {
            now += after;
            if cooldowns.allows(by, now) {
                cooldowns.fetch(by, now, fate);
                fetches.push(now);
                let lately = |span| fetches.iter().filter(|fetch| now - **fetch <= span).count();
                prop_assert!(lately(Duration::from_secs(5)) <= 10);
                prop_assert!(lately(Duration::from_secs(60)) <= 20);
            }
        }
        prop_assert!(cooldowns.sources.len() <= SOURCES);
    }

    #[test]
    fn two_in_a_minute_are_there_for_a_source_that_new_tokens_help_among_any_that_they_do_not(
        rejections in rejections(
            prop_oneof![Just(1), 2..5u64, 5..500u64],
            prop_oneof![Just(Fate::Refused), Just(Fate::Unchanged)],
        ),
    ) {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut fetches: Vec<Instant> = Vec::new();
        cooldowns.fetch(GOOD, now, Fate::Accepted);
        fetches.push(now);
        for Rejection { by, after, fate } in rejections {
            now += after;
            let allowed = cooldowns.allows(by, now);
            if by == GOOD {
                prop_assert!(allowed || !affords(&fetches, now, 2, FEW_EVERY));
                if allowed {
                    fetches.push(now);
                }
            }
            if allowed {
                cooldowns.fetch(by, now, if by == GOOD { Fate::Accepted } else { fate });
            }
        }
    }

    #[test]
    fn whatever_one_source_does_another_that_is_new_or_that_new_tokens_help_has_its_fetches(
        rejections in rejections(Just(2), any_fate_of_a_token()),
        good in collection::btree_map(0..300usize, 0..3u8, 1..20),
    ) {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut fetches: Vec<Instant> = Vec::new();
        for (n, Rejection { by, after, fate }) in rejections.into_iter().enumerate() {
            now += after;
            if cooldowns.allows(by, now) {
                cooldowns.fetch(by, now, fate);
            }
            for _ in 0..good.get(&n).copied().unwrap_or_default() {
                let allowed = cooldowns.allows(GOOD, now);
                prop_assert!(allowed || !affords(&fetches, now, FEW, FEW_EVERY));
                if allowed {
                    cooldowns.fetch(GOOD, now, Fate::Accepted);
                    fetches.push(now);
                }
            }
        }
    }
}
