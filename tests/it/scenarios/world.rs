//! One scenario's issuer, cache, clients and APIs.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, Token, TokenCache};

use super::{
    api::Api,
    format::{CacheSetup, IssuerSetup, Scenario},
    load::{self, Tally},
    quantity::Span,
    step::{
        Action, ApiChange, Expected, Fetches, IssuerChange, IssuerMood, Load, RequestBody, Revoke,
        Step,
    },
};
use crate::support::{Issuer, Trouble};

pub struct World {
    start: Instant,
    issuer: Issuer,
    tokens: TokenCache,
    layer: BearerAuthLayer,
    apis: HashMap<String, Api>,
    groups: HashMap<String, JoinHandle<Tally>>,
    wall_shift: Arc<AtomicI64>,
    pub total: Tally,
}

impl World {
    pub fn new(scenario: &Scenario) -> Result<Self, String> {
        let issuer = Issuer::default();
        change(&issuer, &scenario.issuer);
        let wall_shift = Arc::new(AtomicI64::new(0));
        let tokens = cache(&scenario.cache, &issuer, wall_shift.clone());
        let mut layer = BearerAuthLayer::new(tokens.clone());
        if let Some(origins) = &scenario.layer.only_for {
            layer = layer.only_for(origins).map_err(|error| error.to_string())?;
        }
        if scenario.layer.allow_http {
            layer = layer.allow_http();
        }
        if scenario.layer.overwrite {
            layer = layer.overwrite();
        }
        let apis = ["a", "b"].map(|name| (name.to_owned(), Api::new(&issuer))).into();
        let (groups, total) = Default::default();
        Ok(Self { start: Instant::now(), issuer, tokens, layer, apis, groups, wall_shift, total })
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn fetches(&self) -> usize {
        self.issuer.fetches()
    }

    pub fn unfinished(&self) -> Option<&String> {
        self.groups.keys().next()
    }

    pub async fn perform(&mut self, step: &Step) -> Result<(), String> {
        if let Some(Span(at)) = step.at {
            if self.elapsed() > at {
                return Err(format!("it is {:?} already", self.elapsed()));
            }
            sleep_until(self.start + at).await;
        }
        match &step.action {
            Action::Request(step) => {
                let requests = self.launch(step.request, step.load.clone())?;
                match &step.group {
                    Some(group) => drop(self.groups.insert(group.clone(), requests)),
                    None => self.finish(requests, &step.expected).await?,
                }
            }
            Action::Finish(step) => {
                let requests = self.groups.remove(&step.finish).ok_or("there are none such")?;
                self.finish(requests, &step.expected).await?;
            }
            Action::Drop(step) => {
                self.groups.remove(&step.drop).ok_or("there are none such")?.abort();
            }
            Action::Wait(step) => sleep(step.wait.0).await,
            Action::Issuer(step) => self.change_issuer(step),
            Action::Api(step) => self.change_api(step)?,
            Action::Revoke(step) => self.revoke(step).await,
            Action::Reject(step) => self.tokens.reject(&Token::bearer(&step.reject).unwrap()),
            Action::WallClock(step) => drop(self.wall_shift.fetch_add(step.wall_clock.0, Relaxed)),
            Action::Fetches(step) => self.compare_fetches(step)?,
        }
        settle().await;
        self.house_rules()
    }

    fn launch(&self, callers: usize, load: Load) -> Result<JoinHandle<Tally>, String> {
        let api = self.apis.get(&load.to).ok_or("there is no such API")?.clone();
        Ok(match load.body {
            RequestBody::Repeatable => {
                tokio::spawn(load::run(self.layer.layer(api), callers, load))
            }
            RequestBody::Once => {
                tokio::spawn(load::run(self.layer.clone().no_replay().layer(api), callers, load))
            }
        })
    }

    async fn finish(
        &mut self,
        requests: JoinHandle<Tally>,
        expected: &Expected,
    ) -> Result<(), String> {
        let tally = requests.await.map_err(|error| error.to_string())?;
        for (outcome, n) in &tally {
            *self.total.entry(outcome.clone()).or_default() += n;
        }
        expected.compare(&tally)
    }

    async fn revoke(&self, step: &Revoke) {
        let start = Instant::now();
        for time in step.beat.times() {
            sleep_until(start + time).await;
            match &*step.revoke {
                "all" => self.issuer.revoke_all(),
                token => self.issuer.revoke(token),
            }
        }
        sleep_until(start + step.beat.duration()).await;
    }

    fn change_issuer(&self, step: &IssuerChange) {
        let retry_after = step.retry_after.unwrap_or_default().0;
        self.issuer.trouble(match step.issuer {
            IssuerMood::Well => None,
            IssuerMood::Down => Some(Trouble::Down),
            IssuerMood::Refuses => Some(Trouble::Refuses),
            IssuerMood::Busy => Some(Trouble::RetryAfter(retry_after)),
            IssuerMood::Hangs => Some(Trouble::Hangs),
            IssuerMood::Panics => Some(Trouble::Panics),
        });
        let IssuerChange { lifetime, latency, same_token, .. } = *step;
        change(&self.issuer, &IssuerSetup { lifetime, latency, same_token });
    }

    fn change_api(&self, step: &ApiChange) -> Result<(), String> {
        let mut api = self.apis.get(&step.api).ok_or("there is no such API")?.lock();
        if let Some(rejects) = &step.rejects {
            api.rejects = rejects.clone();
        }
        if let Some(challenge) = &step.challenge {
            api.challenge = Some(challenge.clone());
        }
        if let Some(answers) = step.answers {
            api.answers = answers;
        }
        if let Some(latency) = step.latency {
            api.latency = latency.0;
        }
        Ok(())
    }

    fn compare_fetches(&self, step: &Fetches) -> Result<(), String> {
        let reasons = &self.issuer.lock().reasons;
        let reasons: Vec<_> =
            reasons.iter().map(|reason| format!("{reason:?}").to_lowercase()).collect();
        if !step.fetches.has(reasons.len()) {
            return Err(format!("expected {} fetches, got {}", step.fetches, reasons.len()));
        }
        match &step.reasons {
            Some(expected) if *expected != reasons => {
                Err(format!("expected fetches for {expected:?}, got {reasons:?}"))
            }
            _ => Ok(()),
        }
    }

    /// What holds in every scenario.
    fn house_rules(&self) -> Result<(), String> {
        if let Some(breach) = self.apis.values().find_map(|api| api.lock().breaches.pop()) {
            return Err(breach);
        }
        match self.issuer.lock().most_in_flight {
            0 | 1 => Ok(()),
            n => Err(format!("{n} fetches ran at once")),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.groups.values().for_each(JoinHandle::abort);
    }
}

fn change(issuer: &Issuer, setup: &IssuerSetup) {
    let mut issuer = issuer.lock();
    issuer.lifetime = setup.lifetime.map(|lifetime| lifetime.0).or(issuer.lifetime);
    issuer.latency = setup.latency.map_or(issuer.latency, |latency| latency.0);
    issuer.same_token = setup.same_token.unwrap_or(issuer.same_token);
}

fn cache(setup: &CacheSetup, issuer: &Issuer, wall_shift: Arc<AtomicI64>) -> TokenCache {
    let start = Instant::now();
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let mut builder = TokenCache::builder().wall_clock(move || {
        let shift = wall_shift.load(Relaxed);
        let by = Duration::from_secs(shift.unsigned_abs());
        let now = epoch + start.elapsed();
        if shift < 0 { now - by } else { now + by }
    });
    if let Some(window) = setup.refresh_ahead {
        builder = builder.refresh_ahead(window.0);
    }
    if let Some(margin) = setup.expiry_margin {
        builder = builder.expiry_margin(margin.0);
    }
    if let Some(lifetime) = setup.default_lifetime {
        builder = builder.default_lifetime(lifetime.0);
    }
    if let Some(timeout) = setup.fetch_timeout {
        builder = builder.fetch_timeout(timeout.0);
    }
    builder.build(issuer.clone())
}

/// Lets everything happen that can happen without time passing.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
