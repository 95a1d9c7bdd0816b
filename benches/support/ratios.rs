//! What the benches measured, set against each other.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

use std::{collections::BTreeMap, env, error::Error, fs, path::Path, time::Duration};

use criterion::Criterion;
use serde_json::Value;

use Baseline::{Bench, Latency};

/// Of the issuer in the benches of bursts.
pub const ISSUER_LATENCY: Duration = Duration::from_millis(50);

/// What is compared: the beginning of the group's name, what is 1.0, and what is set against it.
const COMPARED: [(&str, Baseline, &[&str]); 10] = [
    (
        "hit",
        Bench("fixed header"),
        &["BearerAuth, no_replay", "BearerAuth, named origin, no_replay"],
    ),
    (
        "hit",
        Bench("fixed header under Retry"),
        &["BearerAuth", "BearerAuth, named origin", "BearerAuth, try_clone"],
    ),
    ("hit", Bench("fixed header, boxed body"), &["BearerAuth, buffered, boxed body"]),
    ("contended", Bench("fixed header"), &["BearerAuth, no_replay", "BearerAuth"]),
    ("contended", Bench("fixed header under Retry"), &["BearerAuth"]),
    ("select", Bench("BearerAuth"), &["BearerAuth, select"]),
    ("select", Bench("BearerAuth for each"), &["BearerAuth, select"]),
    (
        "loopback",
        Bench("bare"),
        &["fixed header", "fixed header under Retry", "BearerAuth, no_replay", "BearerAuth"],
    ),
    (
        "burst",
        Latency("the issuer's latency", ISSUER_LATENCY),
        &[
            "10,000 bare calls",
            "10,000 on an empty cache",
            "2,000 bare calls",
            "1,000 refused at once",
        ],
    ),
    (
        "body",
        Bench("fixed header"),
        &[
            "no_replay",
            "buffered, within the limit",
            "buffered, over the limit",
            "buffered, over the limit and says so",
        ],
    ),
];

enum Baseline {
    Bench(&'static str),
    Latency(&'static str, Duration),
}

/// What was measured under one heading.
pub struct Compared {
    pub heading: String,
    pub ratios: Vec<Ratio>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    order: usize,
    pub name: String,
    bytes: u64,
    size: String,
}

pub struct Ratio {
    pub contestant: &'static str,
    pub baseline: &'static str,
    pub ratio: f64,
}

/// What each contestant took, in nanoseconds: for a request, where the bench counts requests.
pub type Medians = BTreeMap<Group, BTreeMap<String, f64>>;

impl Group {
    fn heading(&self) -> String {
        let Self { name, size, .. } = self;
        if size.is_empty() { name.clone() } else { format!("{name}, {size}") }
    }
}

/// In place of criterion's own `main`, which does not set one contestant against another.
pub fn run(group: &str, bench: fn(&mut Criterion)) -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
    if are_measured() {
        for Compared { heading, ratios } in ratios(group)? {
            println!("\n{heading}");
            for Ratio { contestant, ratio, baseline } in ratios {
                println!("  {contestant:36} {ratio:.2} x {baseline}");
            }
        }
    }
    Ok(())
}

/// Rather than tried or listed.
pub fn are_measured() -> bool {
    let arguments: Vec<_> = env::args().collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    given("--bench") && !given("--test") && !given("--list")
}

/// Of the groups whose names begin like this.
pub fn ratios(group: &str) -> Result<Vec<Compared>, Box<dyn Error>> {
    let medians = medians()?;
    let groups = medians.iter().filter(|(found, _)| found.name.starts_with(group));
    let compared = groups.map(|(group, medians)| Compared {
        heading: group.heading(),
        ratios: compare(group, medians),
    });
    Ok(compared.filter(|compared| !compared.ratios.is_empty()).collect())
}

/// Of all groups that criterion has stored.
pub fn medians() -> Result<Medians, Box<dyn Error>> {
    let mut medians = Medians::new();
    let executable = env::current_exe()?;
    let criterion = executable.ancestors().map(|above| above.join("criterion"));
    if let Some(criterion) = criterion.into_iter().find(|directory| directory.is_dir()) {
        read(&criterion, &mut medians)?;
    }
    Ok(medians)
}

/// The newest estimates, which are in directories named `new`.
fn read(directory: &Path, medians: &mut Medians) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.ends_with("new") {
            if let Some((group, contestant, nanos)) = median(&path) {
                medians.entry(group).or_default().insert(contestant, nanos);
            }
        } else if path.is_dir() {
            read(&path, medians)?;
        }
    }
    Ok(())
}

/// `None` for what was not measured to its end, or is not in the picture.
fn median(directory: &Path) -> Option<(Group, String, f64)> {
    let json = |name| -> Option<Value> {
        serde_json::from_slice(&fs::read(directory.join(name)).ok()?).ok()
    };
    let (bench, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let text = |name: &str| bench[name].as_str().map(str::to_owned);
    let name = text("group_id")?;
    let (contestant, size) = match (text("function_id"), text("value_str")) {
        (Some(function), size) => (function, size.unwrap_or_default()),
        (None, value) => (value?, String::new()),
    };
    let group = Group {
        order: COMPARED.iter().position(|(prefix, ..)| name.starts_with(prefix))?,
        name,
        bytes: bench["throughput"]["Bytes"].as_u64().unwrap_or_default(),
        size,
    };
    let requests = bench["throughput"]["Elements"].as_f64().unwrap_or(1.0);
    Some((group, contestant, estimates["median"]["point_estimate"].as_f64()? / requests))
}

fn compare(group: &Group, medians: &BTreeMap<String, f64>) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (prefix, baseline, contestants) in &COMPARED {
        let (baseline, one) = match *baseline {
            Bench(name) => (name, medians.get(name).copied()),
            Latency(name, latency) => (name, Some(latency.as_nanos() as f64)),
        };
        if let (true, Some(one)) = (group.name.starts_with(prefix), one) {
            ratios.extend(contestants.iter().filter_map(|&contestant| {
                Some(Ratio { contestant, baseline, ratio: medians.get(contestant)? / one })
            }));
        }
    }
    ratios
}
