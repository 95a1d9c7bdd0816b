//! What the issuer and the APIs know about tokens, and what the tests know about it all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::LIFETIME;

/// How far the simulation is.
pub fn now() -> Duration {
    turmoil::sim_elapsed().expect("only hosts of the simulation ask")
}

#[derive(Clone, Default)]
pub struct Ledger {
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
pub struct Pages {
    issued: u32,
    unavailable: bool,
    revoked: Option<Duration>,
    pub revocations: u32,
    pub fetches: BTreeMap<&'static str, Fetches>,
    pub token_requests: BTreeMap<String, u32>,
    pub calls: Vec<Call>,
    pub wrong: Vec<String>,
}

/// Those of one client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fetches {
    pub count: u32,
    pub most_at_once: u32,
    under_way: u32,
}

/// Counts a fetch as under way until it is dropped.
pub struct UnderWay {
    ledger: Ledger,
    client: &'static str,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ledger.lock().fetches.entry(self.client).or_default().under_way -= 1;
    }
}

/// A request to the good API.
#[derive(Debug)]
pub struct Call {
    pub started: Duration,
    pub took: Duration,
    pub failure: Option<String>,
    /// A revocation in between got both tokens that it was sent with.
    pub revoked_twice: bool,
}

impl Ledger {
    pub fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap()
    }

    pub fn unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    pub fn revoke_all(&self, now: Duration) {
        let mut pages = self.lock();
        pages.revoked = Some(now);
        pages.revocations += 1;
    }

    /// A token says who it is for and when it was issued, so the issuer can forget it.
    pub fn issue(&self, client: &str) -> Option<String> {
        let mut pages = self.lock();
        *pages.token_requests.entry(client.to_owned()).or_default() += 1;
        if pages.unavailable {
            return None;
        }
        pages.issued += 1;
        Some(format!("{client}.{}.{}", pages.issued, now().as_millis()))
    }

    pub fn accepts(&self, token: &str) -> bool {
        let Some(issued) = token.rsplit('.').next().and_then(|millis| millis.parse().ok()) else {
            return false;
        };
        let issued = Duration::from_millis(issued);
        now() < issued + LIFETIME && self.lock().revoked.is_none_or(|revoked| issued > revoked)
    }

    pub fn fetch(&self, client: &'static str) -> UnderWay {
        let mut pages = self.lock();
        let fetches = pages.fetches.entry(client).or_default();
        fetches.count += 1;
        fetches.under_way += 1;
        fetches.most_at_once = fetches.most_at_once.max(fetches.under_way);
        UnderWay { ledger: self.clone(), client }
    }

    pub fn wrong(&self, what: String) {
        self.lock().wrong.push(format!("at {:?}: {what}", now()));
    }
}
