//! Many callers, short tokens, and much that goes wrong, for as long as you like.
//! `cargo run --release --example soak -- --minutes 2`
//!
//! A hyper client sends requests over loopback with tokens of 5 seconds. Tokens are revoked, the API refuses
//! good ones for a moment, the issuer is away or slow, connections break in the middle of a response, the wall
//! clock steps, and callers give up. It ends with a table, and with status 1 if
//!
//! - a request failed while there was a token that had neither expired nor been refused, or without a reason,
//! - or memory grew by more than 8 MiB after the first quarter (Linux only),
//! - or a task was left over.

#![expect(unreachable_pub, reason = "an example exports nothing")]

mod args;
mod caller;
mod chaos;
mod report;
mod servers;
mod world;

use std::{process::ExitCode, sync::Arc, time::Duration};

use fastrand::Rng;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, interval_at, sleep, sleep_until},
};
use tower::{Layer, ServiceExt};
use tower_bearer::{BearerAuthLayer, BoxError, ClientCredentials, TokenCache};

use crate::{
    args::{Args, USAGE},
    caller::Attempts,
    report::{End, Tally, memory},
    servers::Servers,
    world::World,
};

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let world = Arc::new(World::default());
    let tally = Arc::new(Tally::new());
    let servers = Servers::start(Arc::clone(&world)).await?;
    let warm = send(&args, &servers, &world, &tally).await?;
    let end = memory();
    servers.stop().await;
    let tasks_left = tasks_left().await;
    let end = End { seed: args.seed, counts: world.counts(), warm, end, tasks_left };
    Ok(if end.print(&tally) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns how much memory there was after the first quarter.
async fn send(
    args: &Args,
    servers: &Servers,
    world: &Arc<World>,
    tally: &Arc<Tally>,
) -> Result<Option<u64>, BoxError> {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let endpoint = &servers.token_endpoint;
    let credentials = ClientCredentials::builder(http.clone(), endpoint, "id", "s3cr3t").build()?;
    let clock = Arc::clone(world);
    let tokens = TokenCache::builder().wall_clock(move || clock.wall_clock()).build(credentials);
    let client = BearerAuthLayer::new(tokens).layer(http.map_request(Attempts::count));

    let start = Instant::now();
    let until = start + args.duration;
    let mut rng = Rng::with_seed(args.seed);
    let mut callers = JoinSet::new();
    let chaos_seed = rng.u64(..);
    for _ in 0..args.tasks {
        let (client, url) = (client.clone(), servers.orders.clone());
        let (world, tally) = (Arc::clone(world), Arc::clone(tally));
        callers.spawn(caller::run(client, url, world, rng.fork(), until, tally));
    }
    let warm = async {
        sleep_until(start + args.duration / 4).await;
        memory()
    };
    let disturbed = async {
        tokio::select! {
            () = chaos::run(Arc::clone(world), chaos_seed, |event| tally.happened(event)) => {}
            () = show(start, args.duration, tally) => {}
            () = sleep_until(until) => {}
        }
    };
    let (warm, ()) = tokio::join!(warm, disturbed);
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    Ok(warm)
}

/// Shows how far it is, until it is dropped.
async fn show(start: Instant, duration: Duration, tally: &Tally) {
    let bar = ProgressBar::new(duration.as_secs());
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}").expect("a good template"),
    );
    // Where there is no terminal, in CI for one, each line stays.
    let every = if bar.is_hidden() { 10_000 } else { 250 };
    let mut ticks = interval_at(start, Duration::from_millis(every));
    loop {
        let seconds = ticks.tick().await.duration_since(start).as_secs();
        bar.set_position(seconds);
        bar.set_message(tally.line());
        if bar.is_hidden() {
            eprintln!("{seconds} s  {}", tally.line());
        }
    }
}

/// The tasks of this runtime, once they have had time to notice that all is over.
async fn tasks_left() -> usize {
    for _ in 0..100 {
        if Handle::current().metrics().num_alive_tasks() == 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    Handle::current().metrics().num_alive_tasks()
}
