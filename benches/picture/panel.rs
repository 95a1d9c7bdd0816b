//! One group of bars, over an axis of its own.

use std::error::Error;

use plotters::{prelude::FontStyle, style::text_anchor::HPos};

use crate::{
    canvas::{BLUE, CARD, Canvas, Colour, FAINT, GREY, LINE, ORANGE, TEXT},
    ratios::{ISSUER_LATENCY, Medians},
};

use Part::{ByHand, Issuer, Ours};

/// Where the bars begin, and where the longest of them ends.
const LEFT: i32 = 210;
const RIGHT: i32 = 610;

const BAR: i32 = 15;
const ROW: i32 = 21;
/// Above each bar that the next one is compared with.
const GAP: i32 = 8;

/// From the heading to the bars, and from there to the end of the panel.
const HEAD: i32 = 24;
const TICKS: i32 = 28;

/// As wide as most characters are in a font of `NORMAL` size.
const CHARACTER: i32 = 7;

const NORMAL: (i32, FontStyle) = (13, FontStyle::Normal);
const SMALL: (i32, FontStyle) = (12, FontStyle::Normal);

pub(crate) struct Panel {
    pub(crate) heading: &'static str,
    pub(crate) says: &'static str,
    /// By the name that criterion has for it.
    pub(crate) group: &'static str,
    pub(crate) unit: Unit,
    pub(crate) bars: &'static [Bar],
}

pub(crate) struct Bar {
    pub(crate) label: &'static str,
    pub(crate) parts: &'static [Part],
}

/// What was measured, by the name of its bench.
pub(crate) enum Part {
    Ours(&'static str),
    ByHand(&'static str),
    Issuer,
}

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Nanos,
    /// Between two requests, whichever task they are of.
    NanosTogether,
    Micros,
    Millis,
}

impl Panel {
    pub(crate) fn height(&self) -> i32 {
        HEAD + self.bars.iter().map(Bar::height).sum::<i32>() + TICKS
    }

    /// # Errors
    ///
    /// If one of the benches has not been run.
    pub(crate) fn draw(
        &self,
        canvas: &Canvas<'_>,
        (left, top): (i32, i32),
        medians: &Medians,
    ) -> Result<(), Box<dyn Error>> {
        let bars: Vec<Vec<(Colour, f64)>> =
            self.bars.iter().map(|bar| self.measured(bar, medians)).collect::<Result<_, _>>()?;
        let totals: Vec<f64> =
            bars.iter().map(|parts| parts.iter().map(|(_, took)| took).sum()).collect();
        let longest = totals.iter().copied().fold(0.0, f64::max);

        canvas.text((left, top), HPos::Left, (15, FontStyle::Bold), TEXT, self.heading)?;
        canvas.text((LEFT, top), HPos::Left, NORMAL, FAINT, self.says)?;
        self.draw_axis(canvas, top, longest)?;

        let mut bottom = top + HEAD;
        for (n, (bar, parts)) in self.bars.iter().zip(&bars).enumerate() {
            bottom += bar.height();
            let middle = bottom - ROW / 2;
            canvas.text((LEFT - 8, middle), HPos::Right, NORMAL, TEXT, bar.label)?;
            let mut before = 0.0;
            for (colour, took) in parts {
                let from = (x(before, longest), middle - BAR / 2);
                before += took;
                canvas.bar([from, (x(before, longest), middle + BAR / 2 + 1)], *colour)?;
            }
            let mut figure = self.unit.figure(totals[n]);
            if bar.is_ours() && n > 0 {
                figure += &format!(" ({:.2} \u{d7})", totals[n] / totals[n - 1]);
            }
            let end = x(before, longest) + 8;
            let width = CHARACTER * i32::try_from(figure.chars().count())?;
            // Over the lines of the axis, which would cross the figure.
            canvas.bar([(end - 4, middle - 8), (end + width, middle + 9)], CARD)?;
            canvas.text((end, middle), HPos::Left, NORMAL, TEXT, &figure)?;
        }
        Ok(())
    }

    fn draw_axis(&self, canvas: &Canvas<'_>, top: i32, longest: f64) -> Result<(), Box<dyn Error>> {
        let bottom = top + self.height() - TICKS + 6;
        let (one, name) = self.unit.nanos();
        let step = step(longest);
        for tick in (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= longest) {
            let x = x(tick, longest);
            canvas.line([(x, top + HEAD), (x, bottom)], LINE)?;
            let number = (tick / one * 1e3).round() / 1e3;
            let label = if tick == 0.0 { format!("0 {name}") } else { number.to_string() };
            canvas.text((x, bottom + 9), HPos::Center, SMALL, FAINT, &label)?;
        }
        Ok(())
    }

    /// The colour of each part, and its nanoseconds.
    fn measured(&self, bar: &Bar, medians: &Medians) -> Result<Vec<(Colour, f64)>, String> {
        let group = medians.iter().find(|(group, _)| group.name == self.group);
        let median = |bench: &str| {
            let median = group.and_then(|(_, medians)| medians.get(bench).copied());
            median.ok_or_else(|| format!("`{bench}` of `{}` is not measured", self.group))
        };
        let parts = bar.parts.iter().map(|part| match part {
            Ours(bench) => Ok((BLUE, median(bench)?)),
            ByHand(bench) => Ok((GREY, median(bench)?)),
            Issuer => Ok((ORANGE, ISSUER_LATENCY.as_nanos() as f64)),
        });
        parts.collect()
    }
}

impl Bar {
    fn is_ours(&self) -> bool {
        matches!(self.parts, [Ours(_)])
    }

    fn height(&self) -> i32 {
        if self.is_ours() { ROW } else { GAP + ROW }
    }
}

impl Unit {
    /// How many of them it has, and its name.
    fn nanos(self) -> (f64, &'static str) {
        match self {
            Self::Nanos | Self::NanosTogether => (1.0, "ns"),
            Self::Micros => (1e3, "\u{b5}s"),
            Self::Millis => (1e6, "ms"),
        }
    }

    fn figure(self, nanos: f64) -> String {
        let (one, name) = self.nanos();
        let number = nanos / one;
        let digits = usize::from(number < 100.0);
        match self {
            Self::NanosTogether => {
                format!("{number:.digits$} {name}, {:.1} million/s", 1e3 / nanos)
            }
            _ => format!("{number:.digits$} {name}"),
        }
    }
}

fn x(nanos: f64, longest: f64) -> i32 {
    LEFT + (nanos / longest * f64::from(RIGHT - LEFT)).round() as i32
}

/// From one line of the axis to the next: 1, 2 or 5 times a power of ten.
fn step(longest: f64) -> f64 {
    let least = longest / 6.0;
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|times| times * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}
