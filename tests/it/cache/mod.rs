//! The token cache (`src/cache`).

mod attempt;
mod changes;
mod interleavings;
mod keep_fresh;
mod reentry;
mod renewal;
mod revoke;
mod runtimes;
mod status;
