//! Draws what the other benches have measured as ratios, to `benches/ratios.svg`. Cargo runs benches
//! in the order of their names, so this is the last.

#[path = "support/ratios.rs"]
mod ratios;

use std::{error::Error, path::Path, thread};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use ratios::{Compared, Ratio, are_measured, ratios};

const WIDTH: i32 = 1000;
const LEFT: i32 = 260;
const RIGHT: i32 = 760;
const ROW: i32 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    if !are_measured() {
        return Ok(());
    }
    let groups = ratios("")?;
    if groups.is_empty() {
        println!("nothing to draw: no bench has been run");
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratios.svg");
    draw(&path, &groups)?;
    println!("drew {}", path.display());
    Ok(())
}

fn draw(path: &Path, groups: &[Compared]) -> Result<(), Box<dyn Error>> {
    let rows: usize = groups.iter().map(|group| group.ratios.len() + 2).sum();
    let bottom = ROW * (i32::try_from(rows)? + 1);
    let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + 2 * ROW)?);
    let picture = SVGBackend::new(path, size).into_drawing_area();
    picture.fill(&WHITE)?;

    let longest =
        groups.iter().flat_map(|group| &group.ratios).map(|bar| bar.ratio).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (ratio / longest * f64::from(RIGHT - LEFT)).round() as i32;
    let text = |at: (i32, i32), size: i32, style: FontStyle, side: HPos, text: String| {
        let font = FontDesc::new(FontFamily::SansSerif, size.into(), style);
        picture.draw(&Text::new(text, at, TextStyle::from(font).pos(Pos::new(side, VPos::Center))))
    };

    let mut y = ROW;
    for Compared { heading, ratios } in groups {
        text((ROW, y), 18, FontStyle::Bold, HPos::Left, heading.clone())?;
        for Ratio { contestant, baseline, ratio } in ratios {
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
