//! Draws what the other benches have measured as ratios, to `benches/ratios.svg`. Cargo runs benches
//! in the order of their names, so this is the last.

use std::{collections::BTreeMap, env, error::Error, fs, path::Path, thread};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use serde_json::Value;

use Baseline::{Bench, Latency};

const WIDTH: i32 = 1000;
const LEFT: i32 = 280;
const RIGHT: i32 = 750;
const ROW: i32 = 20;

/// What is compared: the beginning of the group's name, what is 1.0, and what is set against it.
const COMPARED: [(&str, Baseline, &[&str]); 7] = [
    ("hit", Bench("fixed header"), &["BearerAuth, no_replay"]),
    (
        "hit",
        Bench("fixed header under Retry"),
        &["BearerAuth", "BearerAuth, try_clone", "BearerAuth, buffered, boxed body"],
    ),
    ("contended", Bench("fixed header"), &["BearerAuth, no_replay", "BearerAuth"]),
    ("loopback", Bench("bare"), &["fixed header", "BearerAuth"]),
    ("loopback", Bench("fixed header"), &["BearerAuth"]),
    (
        "burst",
        Latency("the issuer's latency", 50e6),
        &["10,000 bare calls", "10,000 on an empty cache", "1,000 refused at once"],
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
    /// In nanoseconds.
    Latency(&'static str, f64),
}

/// The bars below one heading.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    order: usize,
    name: String,
    bytes: u64,
    size: String,
}

/// What each contestant took, in nanoseconds.
type Medians = BTreeMap<Group, BTreeMap<String, f64>>;

struct Bar {
    contestant: &'static str,
    baseline: &'static str,
    ratio: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !given("--bench") || given("--test") || given("--list") {
        return Ok(());
    }
    let mut medians = Medians::new();
    let executable = env::current_exe()?;
    let criterion = executable.ancestors().map(|above| above.join("criterion"));
    if let Some(criterion) = criterion.into_iter().find(|directory| directory.is_dir()) {
        read(&criterion, &mut medians)?;
    }
    let groups: Vec<_> = medians
        .iter()
        .map(|(group, medians)| (group, bars(group, medians)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    if groups.is_empty() {
        println!("nothing to draw: no bench has been run");
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratios.svg");
    draw(&path, &groups)?;
    println!("drew {}", path.display());
    Ok(())
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
    Some((group, contestant, estimates["median"]["point_estimate"].as_f64()?))
}

fn bars(group: &Group, medians: &BTreeMap<String, f64>) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (prefix, baseline, contestants) in &COMPARED {
        let (baseline, one) = match *baseline {
            Bench(name) => (name, medians.get(name).copied()),
            Latency(name, nanos) => (name, Some(nanos)),
        };
        if let (true, Some(one)) = (group.name.starts_with(prefix), one) {
            bars.extend(contestants.iter().filter_map(|&contestant| {
                Some(Bar { contestant, baseline, ratio: medians.get(contestant)? / one })
            }));
        }
    }
    bars
}

fn draw(path: &Path, groups: &[(&Group, Vec<Bar>)]) -> Result<(), Box<dyn Error>> {
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let bottom = ROW * (i32::try_from(rows)? + 1);
    let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + 2 * ROW)?);
    let picture = SVGBackend::new(path, size).into_drawing_area();
    picture.fill(&WHITE)?;

    let longest = groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.ratio).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (ratio / longest * f64::from(RIGHT - LEFT)).round() as i32;
    let text = |at: (i32, i32), size: i32, style: FontStyle, side: HPos, text: String| {
        let font = FontDesc::new(FontFamily::SansSerif, size.into(), style);
        picture.draw(&Text::new(text, at, TextStyle::from(font).pos(Pos::new(side, VPos::Center))))
    };

    let mut y = ROW;
    for (Group { name, size, .. }, bars) in groups {
        let heading = if size.is_empty() { name.clone() } else { format!("{name}, {size}") };
        text((ROW, y), 18, FontStyle::Bold, HPos::Left, heading)?;
        for Bar { contestant, baseline, ratio } in bars {
            y += ROW;
            let (above, below) = (y - ROW / 3, y + ROW / 3);
            let corners = [(LEFT, above), (x(*ratio), below)];
            picture.draw(&Rectangle::new(corners, RGBColor(122, 166, 207).filled()))?;
            let end = x(ratio.max(1.0)) + ROW / 3;
            text((LEFT - ROW / 3, y), 15, FontStyle::Normal, HPos::Right, contestant.to_string())?;
            let ratio = format!("{ratio:.2} \u{d7} {baseline}");
            text((end, y), 15, FontStyle::Normal, HPos::Left, ratio)?;
        }
        y += 2 * ROW;
    }
    let one = (x(1.0), bottom - 2 * ROW / 3);
    text(one, 15, FontStyle::Normal, HPos::Center, "1.0".into())?;
    picture.draw(&PathElement::new([(x(1.0), ROW), (x(1.0), bottom - 5 * ROW / 4)], BLACK))?;

    let cores = thread::available_parallelism()?;
    let footer = format!(
        "cargo bench, {cores} cores. Medians of the time taken, as multiples of that of a baseline."
    );
    text((ROW, bottom + ROW / 2), 15, FontStyle::Normal, HPos::Left, footer)?;
    picture.present()?;
    Ok(())
}
