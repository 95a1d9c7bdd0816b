//! What happens to the issuer and to the way there, and when.

use std::{ops::Range, time::Duration};

use fastrand::Rng;
use turmoil::Sim;

use super::{CLIENTS, ISSUER, LATENCY, ledger::Ledger};

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// What is sent between this client and the issuer is lost.
    Partition(&'static str),
    /// What is sent arrives when the fault is over.
    Stall(&'static str),
    Slow(&'static str, Duration),
    /// The issuer answers 503.
    Unavailable,
    /// The issuer is gone, and comes back without its connections.
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Begin(Fault),
    End(Fault),
    RevokeAll,
}

#[derive(Clone, Debug, Default)]
pub struct Script {
    events: Vec<(Duration, Event)>,
    outages: Vec<Range<Duration>>,
    revocations: u32,
}

impl Script {
    /// Outages one after the other, and revocations at any time, until all is quiet.
    pub fn of(seed: u64, quiet: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut script = Self::default();
        loop {
            let start = script.last_outage() + draw(&mut rng, 500..6000);
            // Some are over before anybody notices, and some outlast a token.
            let length = if rng.u8(..3) == 0 { 10_000..25_000 } else { 100..5000 };
            let end = start + draw(&mut rng, length);
            if end > quiet {
                break;
            }
            script.outage(start..end, &mut rng);
        }
        // Two in a moment could refuse a request twice, and it is not sent three times.
        for slot in 0..3 {
            let at = slot * quiet / 3 + draw(&mut rng, 2000..quiet.as_millis() as u64 / 3);
            script.events.push((at, Event::RevokeAll));
            script.revocations += 1;
        }
        script.events.sort_by_key(|(at, _)| *at);
        script
    }

    /// Nobody reaches the issuer for that time.
    pub fn partition(time: Range<Duration>) -> Self {
        let mut script = Self::default();
        script.add(time, &CLIENTS.map(Fault::Partition));
        script
    }

    fn outage(&mut self, time: Range<Duration>, rng: &mut Rng) {
        let clients = &CLIENTS[rng.usize(..CLIENTS.len())..];
        let latency = draw(rng, 100..1000);
        let faults = match rng.u8(..5) {
            0 => clients.iter().copied().map(Fault::Partition).collect(),
            1 => clients.iter().copied().map(Fault::Stall).collect(),
            2 => clients.iter().map(|client| Fault::Slow(client, latency)).collect(),
            3 => vec![Fault::Unavailable],
            _ => vec![Fault::Crash],
        };
        self.add(time, &faults);
    }

    fn add(&mut self, time: Range<Duration>, faults: &[Fault]) {
        for fault in faults {
            self.events.push((time.start, Event::Begin(*fault)));
            self.events.push((time.end, Event::End(*fault)));
        }
        self.events.sort_by_key(|(at, _)| *at);
        self.outages.push(time);
    }

    pub fn revocations(&self) -> u32 {
        self.revocations
    }

    pub fn outages(&self) -> &[Range<Duration>] {
        &self.outages
    }

    pub fn last_outage(&self) -> Duration {
        self.outages.last().map_or(Duration::ZERO, |outage| outage.end)
    }

    /// Does what is due by now.
    pub fn play(&mut self, sim: &mut Sim<'_>, ledger: &Ledger) {
        let due = self.events.partition_point(|(at, _)| *at <= sim.elapsed());
        for (_, event) in self.events.drain(..due) {
            match event {
                Event::Begin(Fault::Partition(client)) => sim.partition(client, ISSUER),
                Event::End(Fault::Partition(client)) => sim.repair(client, ISSUER),
                Event::Begin(Fault::Stall(client)) => sim.hold(client, ISSUER),
                Event::End(Fault::Stall(client)) => sim.release(client, ISSUER),
                Event::Begin(Fault::Slow(client, latency)) => {
                    sim.set_link_latency(client, ISSUER, latency);
                }
                Event::End(Fault::Slow(client, _)) => {
                    sim.set_link_latency(client, ISSUER, LATENCY.start);
                }
                Event::Begin(Fault::Unavailable) => ledger.unavailable(true),
                Event::End(Fault::Unavailable) => ledger.unavailable(false),
                Event::Begin(Fault::Crash) => sim.crash(ISSUER),
                Event::End(Fault::Crash) => sim.bounce(ISSUER),
                Event::RevokeAll => ledger.revoke_all(sim.elapsed()),
            }
        }
    }
}

fn draw(rng: &mut Rng, millis: Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(millis))
}
