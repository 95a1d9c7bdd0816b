//! Runs the scenarios of `tests/scenarios`, whose README says how to read them. With `--nocapture`
//! it says what each one cost.

mod api;
mod expectation;
mod format;
mod load;
mod quantity;
mod step;
mod tokens;
mod world;

use std::{collections::BTreeMap, fs, path::PathBuf};

use self::{
    format::{File, Scenario},
    world::World,
};

macro_rules! files {
    ($($file:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];

        $(
            #[tokio::test(start_paused = true)]
            async fn $file() {
                run_all(stringify!($file)).await;
            }
        )*
    };
}

files! {
    clock figures idle many_callers many_tokens outage rejection renewal request same_token step_up
    two_apis
}

fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "scenarios"].iter().collect()
}

fn read(file: &str) -> Vec<Scenario> {
    let text = fs::read_to_string(directory().join(file).with_extension("toml")).unwrap();
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}.toml: {error}"));
    file.scenario
}

async fn run_all(file: &str) {
    let mut failures = Vec::new();
    for scenario in read(file) {
        if let Err(failure) = run(&scenario).await {
            failures.push(format!("{}\n    {failure}", scenario.name));
        }
    }
    assert!(failures.is_empty(), "{file}.toml:\n{}", failures.join("\n"));
}

async fn run(scenario: &Scenario) -> Result<(), String> {
    let mut world = World::new(scenario);
    for (n, step) in scenario.steps.iter().enumerate() {
        let performed = world.perform(step).await;
        performed.map_err(|wrong| format!("step {}, at {:?}: {wrong}", n + 1, world.elapsed()))?;
    }
    if let Some(group) = world.unfinished() {
        return Err(format!("nobody waits for the requests `{group}`"));
    }
    let fetches = world.fetches();
    if !scenario.fetches.has(fetches) {
        return Err(format!("expected {} fetches in all, got {fetches}", scenario.fetches));
    }
    let requests: usize = world.total.values().sum();
    let ok: usize = world.total.iter().filter(|(o, _)| o.verdict == "ok").map(|(_, n)| n).sum();
    println!(
        "{fetches:>4} fetches {requests:>7} requests {:>6} not ok  {}",
        requests - ok,
        scenario.name
    );
    Ok(())
}

#[test]
fn every_file_is_run() {
    let mut found: Vec<_> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}

#[test]
fn every_promise_has_its_scenarios() {
    let mut named: BTreeMap<u8, usize> = BTreeMap::new();
    for promise in FILES.iter().flat_map(|file| read(file)).flat_map(|s| s.promises) {
        *named.entry(promise).or_default() += 1;
    }
    for promise in 1..=26 {
        let n = named.remove(&promise).unwrap_or_default();
        assert!(n >= 2, "promise {promise} is named by {n} scenarios");
    }
    assert!(named.is_empty(), "no such promises: {named:?}");
}
