//! Eight processes share one token through a store while things happen to them: two are killed, the token
//! is revoked, the Redis that it lies in is stopped and started again.
//!
//! `cargo run --example fleet` starts a Redis server of its own if there is the program `redis-server` (on
//! Debian, `apt-get install redis-server`). Otherwise the token lies in a directory. It prints how many
//! token requests the issuer got in each phase, and fails if that is not as expected or if a request
//! failed.
//!
//! The issuer ends the old token of a client when it gives a new one. Processes that do not share would end
//! each other's tokens for ever.

#![allow(unreachable_pub, reason = "an example exports nothing")]

#[cfg(unix)]
mod fleet;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod redis;
#[cfg(unix)]
mod table;

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<std::process::ExitCode, tower_bearer::BoxError> {
    match process::Settings::from_parent() {
        Some(settings) => process::run(settings).await,
        None => fleet::run().await,
    }
}

#[cfg(not(unix))]
fn main() {
    println!("this example has a store for Unix alone");
}
