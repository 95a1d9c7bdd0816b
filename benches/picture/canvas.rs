//! What both pictures are drawn on: a card in colours for a light page and for a dark one.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{error::Error, fmt::Write};

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Tells the rules of a picture from those of a page that has the picture within its own text.
const CLASS: &str = "tower-bearer-bars";

/// Plotters divides the size of a font by this.
const FONT: f64 = 1.24;

pub(crate) struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

#[derive(Clone, Copy)]
pub(crate) struct Colour {
    light: RGBColor,
    dark: RGBColor,
}

pub(crate) const TEXT: Colour = colour([0x1f, 0x23, 0x28], [0xe6, 0xed, 0xf3]);
pub(crate) const FAINT: Colour = colour([0x59, 0x63, 0x6e], [0x9d, 0xa7, 0xb1]);
pub(crate) const LINE: Colour = colour([0xd1, 0xd9, 0xe0], [0x3d, 0x44, 0x4d]);
pub(crate) const BLUE: Colour = colour([0x09, 0x69, 0xda], [0x44, 0x93, 0xf8]);
pub(crate) const GREY: Colour = colour([0x81, 0x8b, 0x98], [0x76, 0x80, 0x8c]);
pub(crate) const ORANGE: Colour = colour([0xd9, 0x8a, 0x1f], [0xe3, 0xa0, 0x3c]);
pub(crate) const CARD: Colour = colour([0xf6, 0xf8, 0xfa], [0x16, 0x1b, 0x22]);

const COLOURS: [Colour; 7] = [CARD, TEXT, FAINT, LINE, BLUE, GREY, ORANGE];

const fn colour([r, g, b]: [u8; 3], [dark_r, dark_g, dark_b]: [u8; 3]) -> Colour {
    Colour { light: RGBColor(r, g, b), dark: RGBColor(dark_r, dark_g, dark_b) }
}

/// The text of an SVG, of this width and height.
pub(crate) fn picture(
    title: &str,
    (width, height): (i32, i32),
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    let size = (u32::try_from(width)?, u32::try_from(height)?);
    let canvas = Canvas(SVGBackend::with_string(&mut svg, size).into_drawing_area());
    canvas.bar([(0, 0), (width, height)], CARD)?;
    draw(&canvas)?;
    canvas.0.present()?;
    drop(canvas);
    Ok(styled(&svg, title))
}

impl Canvas<'_> {
    pub(crate) fn bar(
        &self,
        corners: [(i32, i32); 2],
        colour: Colour,
    ) -> Result<(), Box<dyn Error>> {
        Ok(self.0.draw(&Rectangle::new(corners, colour.light.filled()))?)
    }

    pub(crate) fn line(&self, ends: [(i32, i32); 2], colour: Colour) -> Result<(), Box<dyn Error>> {
        Ok(self.0.draw(&PathElement::new(ends, colour.light))?)
    }

    /// What these points enclose.
    pub(crate) fn area(
        &self,
        outline: Vec<(i32, i32)>,
        colour: Colour,
    ) -> Result<(), Box<dyn Error>> {
        Ok(self.0.draw(&Polygon::new(outline, colour.light.filled()))?)
    }

    /// Left of a point, right of it or around it, and as high.
    pub(crate) fn text(
        &self,
        at: (i32, i32),
        side: HPos,
        (pixels, style): (i32, FontStyle),
        colour: Colour,
        text: &str,
    ) -> Result<(), Box<dyn Error>> {
        let font = FontDesc::new(FontFamily::SansSerif, FONT * f64::from(pixels), style);
        let style = TextStyle::from(font).color(&colour.light).pos(Pos::new(side, VPos::Center));
        Ok(self.0.draw(&Text::new(text, at, style))?)
    }
}

/// With a name for those who do not see it, and with the dark colours where those are asked for.
/// Plotters writes neither.
fn styled(svg: &str, title: &str) -> String {
    let mut style = format!(".{CLASS} {{ max-width: 100%; height: auto }}\n");
    style.push_str("@media (prefers-color-scheme: dark) {\n");
    for Colour { light, dark } in COLOURS {
        let [light, dark] =
            [light, dark].map(|RGBColor(r, g, b)| format!("#{r:02X}{g:02X}{b:02X}"));
        for property in ["fill", "stroke"] {
            let _ = writeln!(style, ".{CLASS} [{property}=\"{light}\"] {{ {property}: {dark} }}");
        }
    }
    style.push('}');
    let root = format!("<svg class=\"{CLASS}\" role=\"img\" aria-label=\"{title}\" ");
    let svg = svg.replacen("<svg ", &root, 1);
    svg.replacen(">\n", &format!(">\n<style>\n{style}\n</style>\n"), 1)
}
