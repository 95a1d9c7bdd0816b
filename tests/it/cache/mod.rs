//! The token cache (`src/cache`).

mod changes;
mod interleavings;
mod reentry;
mod renewal;
mod runtimes;
mod status;
