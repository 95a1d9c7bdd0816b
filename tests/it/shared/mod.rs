//! One token for many processes.

mod contract;
mod faults;
pub mod faulty_store;
#[cfg(unix)]
mod file;
mod fleet;
mod identity;
mod memory;
mod sealing;
mod sharing;
#[path = "../../../benches/fleet/simulation.rs"]
mod simulation;
mod support;
