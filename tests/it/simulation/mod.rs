//! Clients, an issuer and two APIs on a simulated network that fails in many ways.
//!
//! A seed says what happens and when. A test that fails names it, and `SIMULATION_SEED` in the
//! environment has the tests simulate that one alone. Whom of those who wait for a fetch tokio wakes
//! first is left to chance, unless it is built with `--cfg tokio_unstable`; then a seed says it all.

mod client;
mod ledger;
mod network;
mod script;

use std::{env, ops::Range, time::Duration};

use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use self::{client::Client, ledger::Ledger, network::serve, script::Script};
use crate::support::{Body, answer, handful, seconds};

const ISSUER: &str = "issuer";
const GOOD: &str = "good";
const BAD: &str = "bad";
const CLIENTS: [&str; 3] = ["client-1", "client-2", "client-3"];

/// Tasks of each client that call the good API, and the bad one.
const CALLERS: (u64, u64) = (60, 20);

const LATENCY: Range<Duration> = Duration::from_millis(20)..Duration::from_millis(100);
const LIFETIME: Duration = Duration::from_secs(20);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The last fault is over.
const QUIET: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(80);

/// How long after the last outage every request to the good API succeeds again. The fetch that the
/// outage broke times out after 3 s, and its failure is remembered for 1 s. The next may send its
/// request on a connection from before the outage, where nobody answers, and do the same.
const RECOVERY: Duration = Duration::from_secs(8);

fn seeds() -> Vec<u64> {
    match env::var("SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIMULATION_SEED is a number")],
        Err(_) => (1..=10).collect(),
    }
}

async fn issue(ledger: Ledger, request: Request<Incoming>) -> Response<Body> {
    let Ok(body) = request.into_body().collect().await else { return answer(400) };
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    let param = |name| body.split('&').find_map(|param| param.strip_prefix(name));
    let (Some("client_credentials"), Some("s3cr3t"), Some(client)) =
        (param("grant_type="), param("client_secret="), param("client_id="))
    else {
        return answer(400);
    };
    match ledger.issue(client) {
        Some(token) => Response::new(Body::from(format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{}}}"#,
            LIFETIME.as_secs()
        ))),
        None => answer(503),
    }
}

async fn protect(ledger: Ledger, request: Request<Incoming>) -> Response<Body> {
    let value = request.headers()[AUTHORIZATION].to_str().unwrap();
    let good = ledger.accepts(value.strip_prefix("Bearer ").unwrap());
    answer(if good { 200 } else { 401 })
}

fn simulate(seed: u64, mut script: Script) -> Ledger {
    let ledger = Ledger::default();
    // The jitter of the cache, whose hosts all run on this thread.
    fastrand::seed(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .enable_random_order()
        .tick_duration(Duration::from_millis(20))
        .simulation_duration(2 * END)
        .min_message_latency(LATENCY.start)
        .max_message_latency(LATENCY.end)
        .tcp_capacity(1024)
        .build();
    let on = ledger.clone();
    sim.host(ISSUER, move || {
        let ledger = on.clone();
        serve(move |request| issue(ledger.clone(), request))
    });
    let on = ledger.clone();
    sim.host(GOOD, move || {
        let ledger = on.clone();
        serve(move |request| protect(ledger.clone(), request))
    });
    sim.host(BAD, || serve(|_| async { answer(401) }));
    for (n, name) in CLIENTS.into_iter().enumerate() {
        let client = Client::new(name, ledger.clone()).unwrap();
        sim.client(name, client.run(seed ^ (n as u64) << 16));
    }
    while !sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
        script.play(&mut sim, &ledger);
    }
    drop(sim);
    ledger
}

/// How often the cache of one client may fetch.
///
/// - Once whenever four fifths of a lifetime are over, and once for each revocation.
/// - A handful for the bad API, which starts over when the good API, after a revocation, accepts the
///   token that was fetched for the bad one. That is good for 5 more in half a minute, and a fetch
///   for the good API hides how the bad one's token fared, which is good for 1 more.
/// - In an outage once a second, as long as a failure is remembered, and two that it meets at its
///   beginning and at its end.
fn bound(script: &Script) -> u32 {
    let renewals = 1 + (END.as_secs_f64() / (0.8 * LIFETIME.as_secs_f64())) as u32;
    let bad = handful(END) + 6 * script.revocations();
    let outages = script.outages().iter().map(|time| 2 + (time.end - time.start).as_secs() as u32);
    renewals + script.revocations() + bad + outages.sum::<u32>()
}

/// What holds for each client, whatever happens.
fn check(seed: u64, script: &Script, ledger: &Ledger) {
    let pages = ledger.lock();
    assert!(pages.wrong.is_empty(), "seed {seed}: {:#?}\n{script:#?}", pages.wrong);
    for (client, fetches) in &pages.fetches {
        let (count, bound) = (fetches.count, bound(script));
        assert_eq!(fetches.most_at_once, 1, "seed {seed}: {client} fetched twice at once");
        assert!(count <= bound, "seed {seed}: {client} fetched {count} times, not {bound}");
        // A request that gets no answer is sent once more.
        let requests = pages.token_requests[*client];
        assert!(requests <= 2 * count, "seed {seed}: {client} sent {requests} requests");
    }
    for call in &pages.calls {
        let recovering = call.started < script.last_outage() + RECOVERY;
        let excused = recovering || call.revoked_twice;
        assert!(call.failure.is_none() || excused, "seed {seed}: {call:?} failed\n{script:#?}");
        // A call waits for two fetches and for two answers.
        let patience = 2 * (FETCH_TIMEOUT + 4 * LATENCY.end);
        assert!(call.took <= patience, "seed {seed}: {call:?} took long\n{script:#?}");
    }
}

#[test]
fn clients_ride_out_whatever_befalls_the_issuer() {
    for seed in seeds() {
        let script = Script::of(seed, QUIET);
        let ledger = simulate(seed, script.clone());
        check(seed, &script, &ledger);
    }
}

#[test]
fn an_outage_beyond_every_token_fails_calls_until_it_ends() {
    for seed in seeds().into_iter().take(5) {
        let (begin, end) = (seconds(12), seconds(45));
        let script = Script::partition(begin..end);
        let ledger = simulate(seed, script.clone());
        check(seed, &script, &ledger);
        let pages = ledger.lock();
        let failed: Vec<_> = pages.calls.iter().filter(|call| call.failure.is_some()).collect();
        assert!(!failed.is_empty(), "seed {seed}: nobody noticed");
        assert!(failed.iter().all(|call| call.started > begin), "seed {seed}: {failed:#?}");
    }
}

#[test]
fn an_api_that_rejects_all_neither_fails_nor_delays_another() {
    for seed in seeds().into_iter().take(5) {
        let script = Script::default();
        let ledger = simulate(seed, script.clone());
        check(seed, &script, &ledger);
        // Two fetches and two answers, with four messages for each where it takes a connection.
        let patience = 16 * LATENCY.end;
        for call in &ledger.lock().calls {
            assert!(call.failure.is_none() && call.took <= patience, "seed {seed}: {call:?}");
        }
    }
}
