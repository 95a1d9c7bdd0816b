//! Draws what the other benches have measured: `benches/ratios.svg` for the README, and
//! `benches/all.svg`. Cargo runs benches in the order of their names, so they have all been run by
//! then.

#[path = "picture/all.rs"]
mod all;
#[path = "picture/canvas.rs"]
mod canvas;
#[path = "picture/overview.rs"]
mod overview;
#[path = "picture/panel.rs"]
mod panel;
#[path = "support/ratios.rs"]
mod ratios;

use std::{error::Error, fs, path::Path};

use ratios::{are_measured, medians, ratios};

fn main() -> Result<(), Box<dyn Error>> {
    if !are_measured() {
        return Ok(());
    }
    let groups = ratios("")?;
    if groups.is_empty() {
        println!("nothing to draw: no bench has been run");
        return Ok(());
    }
    write("all.svg", &all::all(&groups)?)?;
    match overview::overview(&medians()?) {
        Ok(overview) => write("ratios.svg", &overview)?,
        Err(error) => println!("left benches/ratios.svg as it was: {error}"),
    }
    Ok(())
}

fn write(name: &str, svg: &str) -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name);
    fs::write(&path, svg)?;
    println!("drew {}", path.display());
    Ok(())
}
