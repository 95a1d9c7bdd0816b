//! The README's picture: what a user waits for, beside what could be there instead.

use std::{error::Error, thread};

use plotters::{prelude::FontStyle, style::text_anchor::HPos};

use crate::{
    canvas::{BLUE, Colour, FAINT, GREY, ORANGE, TEXT, picture},
    panel::{
        Bar, Panel,
        Part::{ByHand, Issuer, Ours},
        Unit,
    },
    ratios::Medians,
};

const TITLE: &str = "What a client waits for with tower-bearer, and without";
const NOTES: [&str; 2] = [
    "Time for a request, or until the last response to many. Shorter is better.",
    "A fixed header (tower-http's) is never renewed. Retry (tower's) clones each request, to send it again after a 401.",
];
const LEGEND: [(Colour, &str); 3] = [
    (BLUE, "tower-bearer (n \u{d7} the bar above)"),
    (GREY, "without it"),
    (ORANGE, "the issuer's 50 ms"),
];

/// Sets what is sent once beside what is sent once, and what can be sent again beside the like.
const HEADERS: &[Bar] = &[
    Bar { label: "fixed header", parts: &[ByHand("fixed header")] },
    Bar { label: "BearerAuth, no_replay", parts: &[Ours("BearerAuth, no_replay")] },
    Bar { label: "fixed header under Retry", parts: &[ByHand("fixed header under Retry")] },
    Bar { label: "BearerAuth", parts: &[Ours("BearerAuth")] },
];

const PANELS: [Panel; 5] = [
    Panel {
        heading: "A hit",
        says: "One request with 8 headers while the token is good. The service answers at once.",
        group: "hit: 8 headers, 40 B token",
        unit: Unit::Nanos,
        bars: HEADERS,
    },
    Panel {
        heading: "Many cores",
        says: "8 tasks on 2 threads share one client. The time includes making the requests.",
        group: "contended: 2 threads, 8 tasks",
        unit: Unit::NanosTogether,
        bars: HEADERS,
    },
    Panel {
        heading: "A burst",
        says: "10,000 callers at once on an empty cache, until the last has its response. One fetch.",
        group: "burst: issuer latency 50 ms",
        unit: Unit::Millis,
        bars: &[
            Bar {
                label: "issuer, 10,000 bare calls",
                parts: &[Issuer, ByHand("10,000 bare calls")],
            },
            Bar { label: "BearerAuth", parts: &[Ours("10,000 on an empty cache")] },
        ],
    },
    Panel {
        heading: "A revocation",
        says: "1,000 callers at once are refused, until the last has its second response. One fetch.",
        group: "burst: issuer latency 50 ms",
        unit: Unit::Millis,
        bars: &[
            Bar { label: "issuer, 2,000 bare calls", parts: &[Issuer, ByHand("2,000 bare calls")] },
            Bar { label: "BearerAuth", parts: &[Ours("1,000 refused at once")] },
        ],
    },
    Panel {
        heading: "A real connection",
        says: "One request from hyper to hyper over loopback, both on one thread.",
        group: "loopback: hyper to hyper",
        unit: Unit::Micros,
        bars: HEADERS,
    },
];

const WIDTH: i32 = 860;
const MARGIN: i32 = 24;
const TOP: i32 = 152;
const APART: i32 = 26;

/// The text of an SVG.
///
/// # Errors
///
/// If one of the benches has not been run.
pub(crate) fn overview(medians: &Medians) -> Result<String, Box<dyn Error>> {
    let height = TOP + PANELS.iter().map(|panel| panel.height() + APART).sum::<i32>() + MARGIN;
    picture(TITLE, (WIDTH, height), |canvas| {
        canvas.text((MARGIN, 32), HPos::Left, (19, FontStyle::Bold), TEXT, TITLE)?;
        for (note, y) in NOTES.iter().zip([58, 77]) {
            canvas.text((MARGIN, y), HPos::Left, (13, FontStyle::Normal), FAINT, note)?;
        }
        for ((colour, meaning), x) in LEGEND.into_iter().zip([MARGIN, 340, 510]) {
            canvas.bar([(x, 99), (x + 13, 112)], colour)?;
            canvas.text((x + 20, 106), HPos::Left, (13, FontStyle::Normal), TEXT, meaning)?;
        }
        let mut y = TOP;
        for panel in &PANELS {
            panel.draw(canvas, (MARGIN, y), medians)?;
            y += panel.height() + APART;
        }
        let cores = thread::available_parallelism()?;
        let footer = format!("Medians of cargo bench on {cores} cores.");
        canvas.text((MARGIN, height - MARGIN), HPos::Left, (12, FontStyle::Normal), FAINT, &footer)
    })
}
