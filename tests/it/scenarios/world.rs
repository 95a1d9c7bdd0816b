//! One scenario's issuers, caches, clients and APIs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, Token};

use super::{
    api::Api,
    format::{IssuerSetup, LayerSetup, Scenario},
    load::{self, Outcome, Tally},
    quantity::Span,
    step::{
        Action, ApiChange, Expected, Fetches, IssuerChange, IssuerMood, Load, RequestBody, Revoke,
        Status, Step, Warm,
    },
    tokens::{ONE, Tokens, builder},
};
use crate::support::{Issuer, Trouble};

pub struct World {
    start: Instant,
    issuers: Arc<BTreeMap<String, Issuer>>,
    tokens: Tokens,
    layer_setup: LayerSetup,
    /// By the names that the scenario gives them.
    layers: HashMap<String, BearerAuthLayer>,
    apis: HashMap<String, Api>,
    groups: HashMap<String, JoinHandle<Tally>>,
    wall_shift: Arc<AtomicI64>,
    pub total: Tally,
}

impl World {
    pub fn new(scenario: &Scenario) -> Self {
        let keys = match &scenario.caches {
            Some(caches) => caches.keys.clone(),
            None => vec![ONE.to_owned()],
        };
        let issuers: BTreeMap<_, _> =
            keys.into_iter().map(|key| (key.clone(), Issuer::named(&key))).collect();
        issuers.values().for_each(|issuer| change(issuer, &scenario.issuer));
        let issuers = Arc::new(issuers);
        let wall_shift = Arc::new(AtomicI64::new(0));
        let builder = builder(&scenario.cache, wall_shift.clone());
        let tokens = Tokens::new(scenario, builder, issuers.clone());
        let apis = ["a", "b"].map(|name| (name.to_owned(), Api::new(&issuers))).into();
        let (start, layer_setup) = (Instant::now(), scenario.layer.clone());
        let (layers, groups, total) = Default::default();
        Self { start, issuers, tokens, layer_setup, layers, apis, groups, wall_shift, total }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn fetches(&self) -> usize {
        self.issuers.values().map(Issuer::fetches).sum()
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
            Action::Warm(step) => self.warm(step).await?,
            Action::Wait(step) => sleep(step.wait.0).await,
            Action::Issuer(step) => self.change_issuer(step)?,
            Action::Api(step) => self.change_api(step)?,
            Action::Revoke(step) => self.revoke(step).await?,
            Action::Reject(step) => self.reject(&step.reject)?,
            Action::WallClock(step) => drop(self.wall_shift.fetch_add(step.wall_clock.0, Relaxed)),
            Action::Fetches(step) => self.compare_fetches(step)?,
            Action::Status(step) => self.compare_status(step)?,
        }
        settle().await;
        self.house_rules()
    }

    fn launch(&mut self, callers: usize, load: Load) -> Result<JoinHandle<Tally>, String> {
        let api = self.apis.get(&load.to).ok_or("there is no such API")?.clone();
        let layer = match self.layers.get(&load.layer) {
            Some(layer) => layer.clone(),
            None => self.layer()?,
        };
        self.layers.insert(load.layer.clone(), layer.clone());
        Ok(match load.body {
            RequestBody::Repeatable => tokio::spawn(load::run(layer.layer(api), callers, load)),
            RequestBody::Once => {
                tokio::spawn(load::run(layer.no_replay().layer(api), callers, load))
            }
        })
    }

    /// Another one over the same caches.
    fn layer(&self) -> Result<BearerAuthLayer, String> {
        let setup = &self.layer_setup;
        let mut layer = self.tokens.layer();
        if let Some(origins) = &setup.only_for {
            layer = layer.only_for(origins).map_err(|error| error.to_string())?;
        }
        if setup.allow_http {
            layer = layer.allow_http();
        }
        if setup.overwrite {
            layer = layer.overwrite();
        }
        if setup.claims {
            layer = layer.insufficient_claims();
        }
        Ok(layer)
    }

    /// That of this key, or all.
    fn issuers(&self, key: Option<&str>) -> Result<Vec<&Issuer>, String> {
        match key {
            Some(key) => Ok(vec![self.issuers.get(key).ok_or("there is no such key")?]),
            None => Ok(self.issuers.values().collect()),
        }
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

    async fn warm(&self, step: &Warm) -> Result<(), String> {
        let start = Instant::now();
        let verdicts = self.tokens.warm(&step.warm).await?;
        let waited = start.elapsed();
        let mut tally = Tally::new();
        for verdict in verdicts {
            let outcome = Outcome { verdict, sent: Vec::new(), waited, retry_after: None };
            *tally.entry(outcome).or_default() += 1;
        }
        step.expected.compare(&tally)
    }

    async fn revoke(&self, step: &Revoke) -> Result<(), String> {
        let issuers = self.issuers(step.key.as_deref())?;
        let start = Instant::now();
        for time in step.beat.times() {
            sleep_until(start + time).await;
            for issuer in &issuers {
                match &*step.revoke {
                    "all" => issuer.revoke_all(),
                    token if issuer.has(token) => issuer.revoke(token),
                    _ => {}
                }
            }
        }
        sleep_until(start + step.beat.duration()).await;
        Ok(())
    }

    fn reject(&self, token: &str) -> Result<(), String> {
        let mut issuers = self.issuers.iter();
        let (key, _) = issuers.find(|(_, issuer)| issuer.has(token)).ok_or("no such token")?;
        self.tokens.peek(key)?.reject(&Token::bearer(token).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn change_issuer(&self, step: &IssuerChange) -> Result<(), String> {
        let retry_after = step.retry_after.unwrap_or_default().0;
        let trouble = match step.issuer {
            IssuerMood::Well => None,
            IssuerMood::Down => Some(Trouble::Down),
            IssuerMood::Refuses => Some(Trouble::Refuses),
            IssuerMood::Busy => Some(Trouble::RetryAfter(retry_after)),
            IssuerMood::Hangs => Some(Trouble::Hangs),
            IssuerMood::Panics => Some(Trouble::Panics),
        };
        let IssuerChange { lifetime, latency, same_token, .. } = *step;
        for issuer in self.issuers(step.key.as_deref())? {
            issuer.trouble(trouble);
            change(issuer, &IssuerSetup { lifetime, latency, same_token });
        }
        Ok(())
    }

    fn change_api(&self, step: &ApiChange) -> Result<(), String> {
        let mut api = self.apis.get(&step.api).ok_or("there is no such API")?.lock();
        if let Some(rejects) = &step.rejects {
            api.rejects = rejects.clone();
        }
        if let Some(challenge) = &step.challenge {
            api.challenge = Some(challenge.clone());
        }
        if let Some(refusal) = step.refusal {
            api.refusal = refusal;
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
        let (mut reasons, mut claims) = (Vec::new(), Vec::new());
        for issuer in self.issuers(step.key.as_deref())? {
            let issuer = issuer.lock();
            reasons.extend(issuer.reasons.iter().map(|r| format!("{r:?}").to_lowercase()));
            claims.extend(issuer.claims.iter().map(|claims| claims.clone().unwrap_or_default()));
        }
        if !step.fetches.has(reasons.len()) {
            return Err(format!("expected {} fetches, got {}", step.fetches, reasons.len()));
        }
        if let Some(expected) = step.reasons.as_ref().filter(|expected| **expected != reasons) {
            return Err(format!("expected fetches for {expected:?}, got {reasons:?}"));
        }
        match step.claims.as_ref().filter(|expected| **expected != claims) {
            Some(expected) => Err(format!("expected fetches with {expected:?}, got {claims:?}")),
            None => Ok(()),
        }
    }

    fn compare_status(&self, step: &Status) -> Result<(), String> {
        let status = self.tokens.peek(&step.status)?.status();
        let failure = status.last_failure().map_or("none".to_owned(), load::verdict);
        let as_stated = [
            step.has_token.is_none_or(|has_token| has_token == status.has_token()),
            step.expires_in.is_none_or(|time| status.expires_in().is_some_and(|t| time.has(t))),
            step.rejected.is_none_or(|rejected| rejected == status.is_rejected()),
            step.fetching.is_none_or(|fetching| fetching == status.is_fetching()),
            step.failure.as_ref().is_none_or(|expected| *expected == failure),
            step.failed_ago.is_none_or(|time| status.failed_ago().is_some_and(|t| time.has(t))),
        ];
        if as_stated.contains(&false) { Err(format!("it is {status:?}")) } else { Ok(()) }
    }

    /// What holds in every scenario.
    fn house_rules(&self) -> Result<(), String> {
        if let Some(breach) = self.apis.values().find_map(|api| api.lock().breaches.pop()) {
            return Err(breach);
        }
        match self.issuers.iter().find(|(_, issuer)| issuer.lock().most_in_flight > 1) {
            Some((key, _)) => Err(format!("several fetches for `{key}` ran at once")),
            None => Ok(()),
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

/// Lets everything happen that can happen without time passing.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
