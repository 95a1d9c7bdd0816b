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
        match fate {
            Fate::Unchanged => return self.unchanged(by, token, now),
            _ => self.forced(by, token, now),
        }
        match fate {
            Fate::Accepted => self.accepted(by, token),
            Fate::Refused => self.refused(by, token),
            Fate::Unchanged | Fate::Silence => {}
        }
    }
}

/// What one source may do, told by its last fetch and how many before it were no help in a row.
#[derive(Default)]
struct Model {
    last: Option<(Instant, Fate)>,
    in_a_row: u32,
    fetches: Vec<Instant>,
}

impl Model {
    fn allows(&mut self, now: Instant) -> bool {
        let Some((landed, fate)) = self.last else { return true };
        let waited = now - landed;
        match fate {
            Fate::Accepted => self.in_a_row = 0,
            Fate::Silence if waited >= SETTLED => self.in_a_row = 0,
            Fate::Silence => {
                self.in_a_row += 1;
                self.last = Some((landed, Fate::Refused));
            }
            Fate::Refused | Fate::Unchanged => {}
        }
        let waits = [0, 1, 2, 4, 8, 16, 30];
        waited >= Duration::from_secs(waits[self.in_a_row.min(6) as usize]) && self.affords(now)
    }

    /// No time since has had more fetches than its share and the budget.
    fn affords(&self, now: Instant) -> bool {
        self.fetches.iter().enumerate().all(|(n, since)| {
            let fetches = u32::try_from(self.fetches.len() - n).expect("few fetches");
            EARNED_EVERY * fetches <= (now - *since) + EARNED_EVERY * (BUDGET - 1)
        })
    }

    fn fetch(&mut self, now: Instant, fate: Fate) {
        self.last = Some((now, fate));
        self.fetches.push(now);
        if let Fate::Refused | Fate::Unchanged = fate {
            self.in_a_row += 1;
        }
    }
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
    fn a_source_that_every_token_helps_waits_for_its_budget_alone(
        rejections in rejections(1..5u64, Just(Fate::Refused)),
    ) {
        let mut now = Instant::now();
        let mut cooldowns = Cooldowns::default();
        let mut fetches: Vec<Instant> = Vec::new();
        for Rejection { by, after, fate } in rejections {
            now += after;
            let allowed = cooldowns.allows(by, now);
            if by == GOOD {
                let lately = fetches.iter().filter(|fetch| now - **fetch < Duration::from_secs(60));
                prop_assert!(allowed || lately.count() >= BUDGET as usize);
                if allowed {
                    fetches.push(now);
                }
            }
            if allowed {
                cooldowns.fetch(by, now, if by == GOOD { Fate::Accepted } else { fate });
            }
        }
    }
}
