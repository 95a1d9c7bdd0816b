//! Requests to the issuer over a day, a strip for each way to renew.

use std::error::Error;

use plotters::{prelude::FontStyle, style::text_anchor::HPos};

use crate::{
    canvas::{self, BLUE, Canvas, Colour, FAINT, GREY, LINE, ORANGE, TEXT},
    simulation::{Events, Outcome, Plan, Renewal},
};

const TITLE: &str = "What a fleet costs its issuer in a day";

const WIDTH: i32 = 860;
const MARGIN: i32 = 24;
const LEFT: i32 = 72;
const RIGHT: i32 = WIDTH - MARGIN;
const TOP: i32 = 96;

/// A strip, what is above it, and what is between it and the next.
const HEAD: i32 = 36;
const STRIP: i32 = 84;
const APART: i32 = 44;

/// As many seconds as a point of the picture stands for, of which the worst is drawn.
const BIN: usize = 120;
const DECADES: [u32; 5] = [1, 10, 100, 1_000, 10_000];

const NORMAL: (i32, FontStyle) = (13, FontStyle::Normal);
const SMALL: (i32, FontStyle) = (12, FontStyle::Normal);

/// The text of an SVG.
pub(crate) fn picture(days: &[(Plan, Outcome)]) -> Result<String, Box<dyn Error>> {
    let strips = i32::try_from(days.len())?;
    let height = TOP + strips * (HEAD + STRIP + APART);
    canvas::picture(TITLE, (WIDTH, height), |canvas| {
        let replicas = grouped(days.first().map_or(0, |(plan, _)| plan.replicas as u64));
        let note = format!(
            "Token requests in the worst second of each {} minutes, of {replicas} replicas. The scale is logarithmic.",
            BIN / 60
        );
        canvas.text((MARGIN, 32), HPos::Left, (19, FontStyle::Bold), TEXT, TITLE)?;
        canvas.text((MARGIN, 58), HPos::Left, NORMAL, FAINT, &note)?;
        let mut top = TOP;
        for (plan, outcome) in days {
            strip(canvas, top, plan, outcome)?;
            top += HEAD + STRIP + APART;
        }
        Ok(())
    })
}

fn strip(
    canvas: &Canvas<'_>,
    top: i32,
    plan: &Plan,
    outcome: &Outcome,
) -> Result<(), Box<dyn Error>> {
    let all: u64 = outcome.token_requests.iter().map(|n| u64::from(*n)).sum();
    let all = format!("{} token requests", grouped(all));
    let minutes = plan.lifetime.as_secs() / 60;
    let heading = format!("Tokens of {minutes} min, {}", plan.renewal.name());
    canvas.text((MARGIN, top), HPos::Left, (14, FontStyle::Bold), TEXT, &heading)?;
    canvas.text((RIGHT, top), HPos::Right, NORMAL, TEXT, &all)?;

    let bottom = top + HEAD + STRIP;
    let end = plan.end.as_secs() as usize;
    let x = |second: usize| LEFT + (second as f64 / end as f64 * f64::from(RIGHT - LEFT)) as i32;
    // One a second is a little above the line at the bottom, which is none.
    let y = |n: u32| match n {
        0 => bottom,
        n => bottom - 4 - (f64::from(n).log10() / 4.0 * f64::from(STRIP - 4)) as i32,
    };
    for n in DECADES {
        canvas.line([(LEFT, y(n)), (RIGHT, y(n))], LINE)?;
        if n != 10 && n != 1_000 {
            canvas.text(
                (LEFT - 8, y(n)),
                HPos::Right,
                SMALL,
                FAINT,
                &format!("{}/s", grouped(n.into())),
            )?;
        }
    }
    for (name, second) in events(&plan.events) {
        canvas.line([(x(second), top + HEAD - 6), (x(second), bottom)], FAINT)?;
        canvas.text((x(second), top + HEAD - 14), HPos::Left, SMALL, FAINT, name)?;
    }
    let mut outline = vec![(LEFT, bottom)];
    for (bin, seconds) in outcome.token_requests.chunks(BIN).enumerate() {
        let worst = y(seconds.iter().copied().max().unwrap_or_default());
        let (from, to) = (x(bin * BIN), x((bin * BIN + BIN).min(end)));
        if outline.last().is_some_and(|(_, y)| *y == worst) {
            outline.pop();
        } else {
            outline.push((from, worst));
        }
        outline.push((to, worst));
    }
    outline.push((RIGHT, bottom));
    canvas.area(outline, colour(plan.renewal))?;
    for hour in (0..=end / 3600).step_by(6) {
        let name = format!("{hour}:00");
        canvas.text((x(hour * 3600), bottom + 10), HPos::Center, SMALL, FAINT, &name)?;
    }
    Ok(())
}

fn events(events: &Events) -> impl Iterator<Item = (&'static str, usize)> + use<> {
    let starts = [
        ("restarts", events.rolling_restart.map(|span| span.from)),
        ("revocation", events.revocation),
        ("store away", events.store_away.map(|span| span.from)),
        ("issuer away", events.issuer_away.map(|span| span.from)),
    ];
    starts.into_iter().filter_map(|(name, at)| Some((name, at?.as_secs() as usize)))
}

fn colour(renewal: Renewal) -> Colour {
    match renewal {
        Renewal::Shared => BLUE,
        Renewal::Alone => GREY,
        Renewal::InStep => ORANGE,
    }
}

/// With a comma after each thousand.
fn grouped(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        _ => format!("{},{:03}", grouped(n / 1_000), n % 1_000),
    }
}
