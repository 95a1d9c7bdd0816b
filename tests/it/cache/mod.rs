//! The token cache (`src/cache`).

mod interleavings;
mod reentry;
mod renewal;
mod runtimes;
mod status;
