//! One token for many processes.

mod contract;
#[cfg(unix)]
mod file;
mod identity;
mod memory;
mod sharing;
mod support;
