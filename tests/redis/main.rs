//! A store in a real Redis server, which each test starts for itself.
//!
//! Without the program `redis-server` the tests say so and do nothing. With `TOWER_BEARER_REDIS=required` in the
//! environment that is a failure.

#![cfg(unix)]
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../it/shared/contract.rs"]
mod contract;
mod fail_open;
mod proxy;
mod server;
mod store;
