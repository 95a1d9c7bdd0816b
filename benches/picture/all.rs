//! The picture for contributors: each ratio that the benches print.

use std::{error::Error, thread};

use plotters::{prelude::FontStyle, style::text_anchor::HPos};

use crate::{
    canvas::{BLUE, FAINT, LINE, TEXT, picture},
    ratios::{Compared, Ratio},
};

const TITLE: &str = "All that cargo bench compares";

const WIDTH: i32 = 1000;
const LEFT: i32 = 260;
const RIGHT: i32 = 760;
const TOP: i32 = 86;
const ROW: i32 = 20;
const NORMAL: (i32, FontStyle) = (13, FontStyle::Normal);

/// The text of an SVG.
pub(crate) fn all(groups: &[Compared]) -> Result<String, Box<dyn Error>> {
    let rows: usize = groups.iter().map(|group| group.ratios.len() + 2).sum();
    let bottom = TOP + ROW * i32::try_from(rows)?;
    let longest =
        groups.iter().flat_map(|group| &group.ratios).map(|bar| bar.ratio).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (ratio / longest * f64::from(RIGHT - LEFT)).round() as i32;

    picture(TITLE, (WIDTH, bottom + ROW), |canvas| {
        canvas.text((ROW, 30), HPos::Left, (19, FontStyle::Bold), TEXT, TITLE)?;
        let cores = thread::available_parallelism()?;
        let note = format!(
            "Medians of the time taken on {cores} cores, as multiples of what each bar names. Shorter is better."
        );
        canvas.text((ROW, 55), HPos::Left, NORMAL, FAINT, &note)?;

        let mut y = TOP;
        for Compared { heading, ratios } in groups {
            canvas.text((ROW, y), HPos::Left, (14, FontStyle::Bold), TEXT, heading)?;
            for Ratio { contestant, baseline, ratio } in ratios {
                y += ROW;
                let corners = [(LEFT, y - ROW / 3), (x(*ratio), y + ROW / 3)];
                canvas.bar(corners, BLUE)?;
                canvas.text((LEFT - ROW / 3, y), HPos::Right, NORMAL, TEXT, contestant)?;
                let (end, ratio) =
                    (x(ratio.max(1.0)) + ROW / 3, format!("{ratio:.2} \u{d7} {baseline}"));
                canvas.text((end, y), HPos::Left, NORMAL, TEXT, &ratio)?;
            }
            y += 2 * ROW;
        }
        canvas.line([(x(1.0), TOP + ROW / 2), (x(1.0), bottom - ROW)], FAINT)?;
        canvas.line([(LEFT, TOP + ROW / 2), (LEFT, bottom - ROW)], LINE)?;
        canvas.text((x(1.0), bottom - ROW / 3), HPos::Center, NORMAL, FAINT, "1.0")
    })
}
