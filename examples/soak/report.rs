//! What is counted, and the table.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::{chaos::Events, world::Counts};

/// More memory than this after the warm-up is a leak.
const MAY_GROW: u64 = 8 << 20;

/// More different failures than this are not kept.
const REASONS: usize = 20;

pub struct Tally {
    counted: Mutex<Counted>,
}

struct Counted {
    requests: u64,
    replayed: u64,
    given_up: u64,
    cut: u64,
    without_token: u64,
    failed: u64,
    reasons: BTreeMap<String, u64>,
    events: Events,
    /// In microseconds.
    latency: Histogram<u64>,
}

impl Tally {
    pub fn new() -> Self {
        let counted = Counted {
            requests: 0,
            replayed: 0,
            given_up: 0,
            cut: 0,
            without_token: 0,
            failed: 0,
            reasons: BTreeMap::new(),
            events: Events::default(),
            latency: Histogram::new_with_bounds(1, 120_000_000, 3).expect("the bounds are good"),
        };
        Self { counted: Mutex::new(counted) }
    }

    pub fn sent(&self, latency: Duration, replayed: bool) {
        let mut counted = self.lock();
        counted.requests += 1;
        counted.replayed += u64::from(replayed);
        counted.latency.saturating_record(latency.as_micros().try_into().unwrap_or(u64::MAX));
    }

    pub fn given_up(&self) {
        self.lock().given_up += 1;
    }

    pub fn cut(&self) {
        self.lock().cut += 1;
    }

    pub fn without_token(&self) {
        self.lock().without_token += 1;
    }

    pub fn failed(&self, why: &str) {
        let mut counted = self.lock();
        counted.failed += 1;
        if counted.reasons.len() < REASONS || counted.reasons.contains_key(why) {
            *counted.reasons.entry(why.to_owned()).or_default() += 1;
        }
    }

    pub fn happened(&self, event: fn(&mut Events)) {
        event(&mut self.lock().events);
    }

    /// One line, while it runs.
    pub fn line(&self) -> String {
        let counted = self.lock();
        format!(
            "{} requests, {} failed, {} replayed, p99 {}",
            counted.requests,
            counted.failed,
            counted.replayed,
            millis(counted.latency.value_at_quantile(0.99)),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().expect("nobody panics while they have it")
    }
}

/// What is known when all has ended. Memory in bytes, if the system says it.
pub struct End {
    pub seed: u64,
    pub counts: Counts,
    pub warm: Option<u64>,
    pub end: Option<u64>,
    pub tasks_left: usize,
}

impl End {
    /// Prints the table. Whether all is well.
    pub fn print(&self, tally: &Tally) -> bool {
        let counted = tally.lock();
        let events = counted.events;
        let quantile = |q| millis(counted.latency.value_at_quantile(q));
        let grown = self.end.zip(self.warm).map(|(end, warm)| end.saturating_sub(warm));
        let rows = [
            ("seed", self.seed.to_string()),
            ("requests", counted.requests.to_string()),
            ("failed", counted.failed.to_string()),
            ("failed, and there was no token", counted.without_token.to_string()),
            ("cut by the API", counted.cut.to_string()),
            ("given up by the caller", counted.given_up.to_string()),
            ("refused by the API", self.counts.refusals.to_string()),
            ("replayed", counted.replayed.to_string()),
            ("token requests", self.counts.token_requests.to_string()),
            ("p50", quantile(0.5)),
            ("p99", quantile(0.99)),
            ("p999", quantile(0.999)),
            ("longest", millis(counted.latency.max())),
            ("memory after the warm-up", self.warm.map_or("unknown".to_owned(), mib)),
            ("memory at the end", self.end.map_or("unknown".to_owned(), mib)),
            ("tasks left over", self.tasks_left.to_string()),
            ("revocations", events.revocations.to_string()),
            ("bursts of 401", events.bursts.to_string()),
            ("outages of the issuer", events.outages.to_string()),
            ("times when the issuer was slow", events.slow.to_string()),
            ("times when responses were cut", events.cuts.to_string()),
            ("steps of the wall clock", events.steps.to_string()),
        ];
        println!("| what | |\n| --- | ---: |");
        for (what, value) in rows {
            println!("| {what} | {value} |");
        }
        let mut faults: Vec<_> =
            counted.reasons.iter().map(|(why, times)| format!("{times} failed: {why}")).collect();
        if counted.cut > self.counts.cuts {
            faults.push(format!("{} responses broke, {} were cut", counted.cut, self.counts.cuts));
        }
        if let Some(grown) = grown.filter(|grown| *grown > MAY_GROW) {
            faults.push(format!("memory has grown by {}, more than {}", mib(grown), mib(MAY_GROW)));
        }
        if self.tasks_left > 0 {
            faults.push(format!("{} tasks are left over", self.tasks_left));
        }
        for fault in &faults {
            println!("{fault}");
        }
        faults.is_empty()
    }
}

/// How much memory of this process is in RAM. Known on Linux only.
pub fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}
