//! One token for many processes.

mod contract;
mod faults;
#[cfg(unix)]
mod file;
mod identity;
mod memory;
mod sealing;
mod sharing;
mod support;
