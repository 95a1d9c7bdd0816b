//! Where the tokens of a scenario come from.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tower_bearer::{BearerAuthLayer, TokenCache, TokenCacheBuilder, TokenCaches, TokenError};

use super::{
    api::Key,
    format::{CacheSetup, Scenario},
    load,
};
use crate::support::Issuer;

/// The one key where there is one cache.
pub const ONE: &str = "t";

/// One cache, or one for each key.
pub enum Tokens {
    One(TokenCache),
    Many(TokenCaches<String>),
}

impl Tokens {
    pub fn new(
        scenario: &Scenario,
        builder: TokenCacheBuilder,
        issuers: Arc<BTreeMap<String, Issuer>>,
    ) -> Self {
        let Some(setup) = &scenario.caches else {
            return Self::One(builder.build(issuers[ONE].clone()));
        };
        let mut caches = TokenCaches::builder();
        if let Some(capacity) = setup.capacity {
            caches = caches.capacity(capacity);
        }
        if let Some(idle) = setup.idle {
            caches = caches.idle(idle.0);
        }
        Self::Many(caches.build(move |key: &String| {
            let issuer = issuers.get(key).ok_or_else(|| format!("there is no key {key}"))?;
            Ok::<_, String>(builder.clone().build(issuer.clone()))
        }))
    }

    pub fn layer(&self) -> BearerAuthLayer {
        let caches = match self {
            Self::One(cache) => return BearerAuthLayer::new(cache.clone()),
            Self::Many(caches) => caches.clone(),
        };
        BearerAuthLayer::select(move |head| match head.extensions.get() {
            Some(Key(key)) => caches.get(key).map(Some),
            None => Ok::<_, TokenError>(None),
        })
    }

    /// What becomes of each key.
    pub async fn warm(&self, keys: &[String]) -> Result<Vec<String>, String> {
        match self {
            Self::One(cache) if keys == [ONE] => {
                let token = cache.token().await;
                Ok(vec![token.map_or_else(|error| load::verdict(&error), |_| "ok".to_owned())])
            }
            Self::One(_) => Err(format!("there is the key `{ONE}` alone")),
            Self::Many(caches) => {
                let failed = caches.warm(keys.iter().cloned()).await;
                let failed: HashMap<_, _> = failed.into_iter().collect();
                let verdict = |key: &String| failed.get(key).map_or("ok".to_owned(), load::verdict);
                Ok(keys.iter().map(verdict).collect())
            }
        }
    }

    /// The cache for this key, if there is one now.
    pub fn peek(&self, key: &str) -> Result<TokenCache, String> {
        let cache = match self {
            Self::One(cache) => (key == ONE).then(|| cache.clone()),
            Self::Many(caches) => caches.peek(key),
        };
        cache.ok_or_else(|| format!("there is no cache for `{key}`"))
    }
}

/// The settings that all caches have in common.
pub fn builder(setup: &CacheSetup, wall_shift: Arc<AtomicI64>) -> TokenCacheBuilder {
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
    if setup.keep_fresh { builder.keep_fresh() } else { builder }
}
