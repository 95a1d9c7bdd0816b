//! The task that renews the token while nobody asks for one.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{changes::TokenChanges, schedule::rest};

/// How late a look may be before its runtime counts as one that stands still.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of the renewal while nobody asks.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    keeper: Option<Keeper>,
    /// Before this, the issuer is not asked unless somebody wants a token.
    rest_until: Option<Instant>,
    /// How many tokens in a row had expired when they came.
    useless: u32,
}

impl Upkeep {
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| keeper.is_lost(now))
    }

    pub(super) fn is_started(&self) -> bool {
        self.keeper.is_some()
    }

    pub(super) fn start(&mut self, keeper: Keeper) {
        self.keeper = Some(keeper);
    }

    pub(super) fn looks_at(&mut self, at: Option<Instant>) {
        if let Some(keeper) = &mut self.keeper {
            keeper.looks_at = at;
        }
    }

    pub(super) fn token_came(&mut self, is_usable: bool, now: Instant) {
        self.useless = if is_usable { 0 } else { self.useless.saturating_add(1) };
        self.rest(now + rest(self.useless));
    }

    pub(super) fn rest(&mut self, until: Instant) {
        self.rest_until = Some(until);
    }

    /// The earliest moment from then on.
    pub(super) fn rested(&self, at: Instant) -> Instant {
        self.rest_until.map_or(at, |until| until.max(at))
    }
}

/// Owns the task: dropping it ends that.
#[derive(Debug)]
pub(super) struct Keeper {
    task: AbortHandle,
    /// When the task looks at the cache. `None` if only a change makes it look.
    looks_at: Option<Instant>,
}

impl Keeper {
    /// Calls `look` now, after each change, and at the moment that it returned last, until the cache
    /// is gone. `ended` is called however the task ends, also with its runtime.
    pub(super) fn start(
        runtime: &Handle,
        now: Instant,
        mut changes: TokenChanges,
        look: impl Fn() -> Option<Instant> + Send + 'static,
        ended: impl FnMut() + Send + 'static,
    ) -> Self {
        let end = OnDrop(ended);
        let task = runtime.spawn(async move {
            let _end = end;
            loop {
                let is_gone = match look() {
                    Some(at) => matches!(timeout_at(at, changes.next()).await, Ok(None)),
                    None => changes.next().await.is_none(),
                };
                if is_gone {
                    return;
                }
            }
        });
        Self { task: task.abort_handle(), looks_at: Some(now) }
    }

    /// The task has ended with its runtime, or its runtime no longer turns.
    fn is_lost(&self, now: Instant) -> bool {
        self.task.is_finished() || self.looks_at.is_some_and(|at| now > at + GRACE)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
