//! What a fleet costs its issuer in a day, each replica by itself and all through a store. It measures no time: the
//! caches are real, and their clock is paused.
//!
//! `cargo bench --bench fleet` runs a small fleet for two hours. `cargo bench --bench fleet -- --day` runs 10,000
//! replicas for a day, and draws `benches/fleet.svg`.

#[path = "picture/canvas.rs"]
mod canvas;
#[path = "../tests/it/shared/faulty_store.rs"]
mod faulty_store;
#[path = "fleet/picture.rs"]
mod picture;
#[path = "fleet/simulation.rs"]
mod simulation;

use std::{env, error::Error, fs, path::Path, thread, time::Duration};

use simulation::{Events, Outcome, Plan, Renewal, Span};

const RENEWALS: [Renewal; 3] = [Renewal::Shared, Renewal::Alone, Renewal::InStep];
const LIFETIMES: [Duration; 2] = [minutes(5), minutes(60)];

const SEED: u64 = 1;

const DAY: Plan = Plan {
    replicas: 10_000,
    renewal: Renewal::Shared,
    lifetime: LIFETIMES[0],
    between_requests: minutes(1),
    events: Events {
        rolling_restart: Some(Span::new(minutes(6 * 60), minutes(60))),
        revocation: Some(minutes(10 * 60)),
        store_away: Some(Span::new(minutes(13 * 60 + 35), minutes(10))),
        issuer_away: Some(Span::new(minutes(18 * 60 + 10), minutes(10))),
    },
    end: minutes(24 * 60),
};

const SMALL: Plan = Plan {
    replicas: 200,
    events: Events {
        rolling_restart: Some(Span::new(minutes(10), minutes(10))),
        revocation: Some(minutes(30)),
        store_away: Some(Span::new(minutes(50), minutes(10))),
        issuer_away: Some(Span::new(minutes(80), minutes(10))),
    },
    end: minutes(120),
    ..DAY
};

fn main() -> Result<(), Box<dyn Error>> {
    let is_day = env::args().any(|argument| argument == "--day");
    let plan = if is_day { DAY } else { SMALL };
    let plans = LIFETIMES
        .iter()
        .flat_map(|lifetime| RENEWALS.map(|renewal| Plan { renewal, lifetime: *lifetime, ..plan }));
    let threads: Vec<_> = plans.map(|plan| (plan, thread::spawn(move || plan.run(SEED)))).collect();
    let mut days = Vec::new();
    for (plan, thread) in threads {
        days.push((plan, thread.join().map_err(|_| "a simulation has panicked")?));
    }
    for (plan, outcome) in &days {
        print(plan, outcome);
    }
    if is_day {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fleet.svg");
        fs::write(&path, picture::picture(&days)?)?;
        println!("drew {}", path.display());
    }
    Ok(())
}

fn print(plan: &Plan, outcome: &Outcome) {
    let Plan { replicas, lifetime, .. } = plan;
    let renewal = plan.renewal.name();
    println!("\n{replicas} replicas, tokens of {} min, {renewal}", lifetime.as_secs() / 60);
    println!("  {} requests to the API", outcome.count);
    println!(
        "  {:16} {:>14} {:>8} {:>8} {:>12}",
        "", "token requests", "peak /s", "failed", "longest wait"
    );
    for (what, span) in plan.parts() {
        let row = outcome.row(span);
        println!(
            "  {what:16} {:>14} {:>8} {:>8} {:>10.1} s",
            row.token_requests,
            row.peak,
            row.failed,
            row.longest_wait.as_secs_f64()
        );
    }
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
