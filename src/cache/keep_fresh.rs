//! The task that renews the token while nobody asks for one.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{
    changes::{TokenChange, TokenChanges},
    fetch::PendingOutcome,
    shared::Shared,
    state::Step,
};
use crate::observe;

/// How long the issuer is left alone after it has given a token: twice as long each time if tokens have
/// expired when they come.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// How often the clocks are compared, so that a renewal is made up for after the machine was suspended.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// Owns the task: dropping it ends that.
#[derive(Debug)]
pub(super) struct Keeper {
    task: AbortHandle,
}

impl Keeper {
    pub(super) fn start(cache: &Arc<Shared>, runtime: &Handle) -> Self {
        let task = runtime.spawn(keep_fresh(Arc::downgrade(cache), cache.changes()));
        Self { task: task.abort_handle() }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_fresh(cache: Weak<Shared>, mut changes: TokenChanges) {
    let _end = End(cache.clone());
    let (mut rest, mut rested) = (REST_MIN, Instant::now());
    loop {
        let Some(next) = cache.upgrade().map(|cache| cache.next_fetch()) else { return };
        let next = next.map(|next| next.max(rested));
        let now = Instant::now();
        if next.is_some_and(|next| next <= now) {
            rested = now + REST_MIN;
            let fetch = cache.upgrade().and_then(|cache| cache.fetch_as_for_a_caller());
            if let Some(fetch) = fetch {
                fetch.await;
            }
            continue;
        }
        let change = match next {
            Some(next) => timeout_at(next.min(now + COMPARE_EVERY), changes.next()).await,
            None => Ok(changes.next().await),
        };
        match change {
            Ok(None) => return,
            Ok(Some(TokenChange::Fetched | TokenChange::Renewed)) => {
                let has_expired = cache.upgrade().is_some_and(|cache| cache.peek().is_none());
                if !has_expired {
                    rest = REST_MIN;
                }
                rested = Instant::now() + rest;
                if has_expired {
                    rest = (rest * 2).min(REST_MAX);
                }
            }
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

impl Shared {
    /// When a caller would next start a fetch.
    fn next_fetch(&self) -> Option<Instant> {
        let now = self.now();
        let state = self.lock();
        let next = state.next_fetch(now);
        let usable = state.usable(now).cloned();
        drop(state);
        if let Some(entry) = usable {
            observe::expires_in(&self.name, entry.remaining(now));
        }
        next
    }

    /// The fetch that a caller would start now, or wait for.
    fn fetch_as_for_a_caller(self: &Arc<Self>) -> Option<PendingOutcome> {
        let now = self.now();
        let mut state = self.lock();
        // The token was revoked meanwhile, and nothing is renewed until somebody asks.
        state.keeper.as_ref()?;
        match state.step(now) {
            Step::Use(_, Some(reason)) | Step::Wait(reason, _) => {
                Some(self.join(&mut state, &Handle::current(), reason, now))
            }
            Step::Use(_, None) | Step::Keep(_) | Step::Fail(_) => None,
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
