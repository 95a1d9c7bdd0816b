//! A fleet of caches that share a store, and one issuer.

use tokio::time::Instant;
use tower_bearer::{Shared, TokenCache, TokenStore};

use super::faulty_store::FaultyStore;
use crate::support::Issuer;

pub struct Fleet<S = FaultyStore> {
    pub issuer: Issuer,
    pub store: S,
    pub began: Instant,
}

impl Fleet {
    pub fn of(issuer: Issuer) -> Self {
        Self::over(issuer, FaultyStore::default())
    }
}

impl<S: TokenStore + Clone> Fleet<S> {
    pub fn over(issuer: Issuer, store: S) -> Self {
        Self { issuer, store, began: Instant::now() }
    }

    /// A process of its own, as far as the store can tell.
    pub fn replica(&self) -> TokenCache {
        TokenCache::new(self.shared())
    }

    pub fn replicas(&self, n: usize) -> Vec<TokenCache> {
        (0..n).map(|_| self.replica()).collect()
    }

    pub fn shared(&self) -> Shared<Issuer, S> {
        Shared::new(self.issuer.clone(), self.store.clone()).name("orders")
    }
}

/// The tokens of all at once.
pub async fn all(caches: &[TokenCache]) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for cache in caches {
        let cache = cache.clone();
        tasks.spawn(async move { cache.token().await.unwrap().expose().to_owned() });
    }
    tasks.join_all().await
}
