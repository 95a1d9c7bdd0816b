//! The task that renews the token while nobody asks for one.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{
    changes::{TokenChange, TokenChanges},
    fetch::PendingOutcome,
    shared::Shared,
    state::{Step, Successor},
};
use crate::observe::{self, CacheEvent};

/// How long the issuer is left alone after it has given a token: twice as long each time if tokens have
/// expired when they come.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// How often the clocks are compared, so that a renewal is made up for after the machine was suspended.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

pub(super) async fn keep_fresh(cache: Weak<Shared>, mut changes: TokenChanges) {
    let _end = End(cache.clone());
    let (mut rest, mut rested) = (REST_MIN, Instant::now());
    loop {
        let now = Instant::now();
        let Some(next) = cache.upgrade().map(|cache| cache.next_fetch()) else { return };
        let change = match next.map(|next| next.max(rested)) {
            None => Ok(changes.next().await),
            Some(next) if next > now => {
                timeout_at(next.min(now + COMPARE_EVERY), changes.next()).await
            }
            Some(_) => {
                rested = now + REST_MIN;
                if let Some(fetch) = cache.upgrade().and_then(|cache| cache.renew()) {
                    fetch.await;
                }
                continue;
            }
        };
        match change {
            Ok(None) => return,
            Ok(Some(TokenChange::Fetched | TokenChange::Renewed)) => {
                let is_usable = cache.upgrade().is_some_and(|cache| cache.peek().is_some());
                rest = if is_usable { REST_MIN } else { (rest * 2).min(REST_MAX) };
                rested = Instant::now() + rest;
            }
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

impl Shared {
    fn next_fetch(&self) -> Option<Instant> {
        let now = self.now();
        let state = self.lock();
        let (next, usable) = (state.next_fetch(now), state.usable(now).cloned());
        drop(state);
        if let Some(entry) = usable {
            observe::event(&self.name, CacheEvent::ExpiresIn(entry.remaining(now)));
        }
        next
    }

    /// Starts the fetch that a caller would start now.
    fn renew(self: &Arc<Self>) -> Option<PendingOutcome> {
        let now = self.now();
        let mut state = self.lock();
        // The token was revoked meanwhile, and nothing is renewed until somebody asks.
        state.keeper.as_ref()?;
        match state.step(now) {
            Step::Use(_, Successor::Due(reason)) | Step::Wait(reason) => {
                Some(self.join(&mut state, &Handle::current(), reason, now))
            }
            Step::Use(..) | Step::Fail(_) => None,
        }
    }
}

/// However the task ends, also with its runtime, the next caller looks at the state, and starts it again.
struct End(Weak<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if let Some(cache) = self.0.upgrade() {
            cache.settled.store(None);
        }
    }
}
