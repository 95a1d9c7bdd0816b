//! What goes wrong, and when. The seed decides the order.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::sleep;

use crate::world::{Issuer, World};

/// How often each thing went wrong.
#[derive(Clone, Copy, Default)]
pub struct Events {
    pub revocations: u64,
    pub bursts: u64,
    pub outages: u64,
    pub slow: u64,
    pub cuts: u64,
    pub steps: u64,
}

/// Until it is dropped.
pub async fn run(world: Arc<World>, seed: u64, happened: impl Fn(fn(&mut Events))) {
    let mut rng = Rng::with_seed(seed);
    let mut deck = Vec::new();
    loop {
        // Refusals may force 20 fetches in any minute. These are far fewer.
        sleep(between(&mut rng, 1000, 3000)).await;
        if deck.is_empty() {
            deck.extend(0..6);
            rng.shuffle(&mut deck);
        }
        match deck.pop().unwrap_or(0) {
            0 => {
                world.revoke();
                happened(|events| events.revocations += 1);
            }
            1 => {
                world.burst(between(&mut rng, 100, 800));
                happened(|events| events.bursts += 1);
            }
            2 => {
                let late = rng.bool();
                if late {
                    // It begins when the token is about to be renewed.
                    let left = between(&mut rng, 500, 2000);
                    sleep(world.remaining().saturating_sub(left)).await;
                }
                // Over before the token expires, so that there is one at any time.
                let longest = world.remaining().saturating_sub(Duration::from_millis(150));
                let duration = between(&mut rng, 100, 5000);
                let duration = if late { longest } else { duration.min(longest) };
                let how = if rng.bool() { Issuer::Unavailable } else { Issuer::Cutting };
                world.outage(how, duration);
                sleep(duration).await;
                world.issuer(Issuer::Well);
                happened(|events| events.outages += 1);
            }
            3 => {
                world.issuer(Issuer::Slow(between(&mut rng, 100, 1500)));
                sleep(between(&mut rng, 1000, 4000)).await;
                world.issuer(Issuer::Well);
                happened(|events| events.slow += 1);
            }
            4 => {
                world.cut_next(rng.u32(1..=32));
                happened(|events| events.cuts += 1);
            }
            _ => {
                let step = between(&mut rng, 10_000, 3_600_000);
                if rng.bool() {
                    world.step_ahead(step)
                } else {
                    world.step_back(step)
                }
                happened(|events| events.steps += 1);
            }
        }
    }
}

fn between(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.u64(least..=most))
}
