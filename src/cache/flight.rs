//! One fetch at a time, in a task of its own, its outcome shared by all who wait.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::{
    error::TokenError,
    fetcher::FetchReason,
    observe::{self, Ended, Name},
    token::Token,
};

/// How much longer than the fetch its waiters wait, should its runtime have stopped turning.
const GRACE: Duration = Duration::from_secs(1);

pub(super) type Outcome = Result<Token, TokenError>;

/// The labels of a fetch in spans, events and metrics.
pub(super) struct FetchLabels {
    pub(super) name: Name,
    pub(super) reason: FetchReason,
}

/// A fetch under way. Dropping it ends the fetch.
#[derive(Debug)]
pub(super) struct Flight {
    number: u64,
    outcome: watch::Receiver<Option<(Outcome, Ended, Instant)>>,
    given_up: Instant,
    task: AbortHandle,
}

impl Flight {
    /// `land` is called with the outcome before those who wait are woken.
    pub(super) fn launch(
        runtime: &Handle,
        number: u64,
        deadline: Instant,
        labels: FetchLabels,
        fetch: impl Future<Output = Outcome> + Send + 'static,
        land: impl FnOnce(&Outcome) + Send + 'static,
    ) -> Self {
        let (landed, outcome) = watch::channel(None);
        let task = runtime.spawn(async move {
            let started = Instant::now();
            let observed = observe::Fetch::start(&labels.name, labels.reason);
            let outcome = observed.run(caught(fetch)).await;
            let ended = observed.end(&outcome, started.elapsed());
            land(&outcome);
            landed.send_replace(Some((outcome, ended, Instant::now())));
        });
        Self { number, outcome, given_up: deadline + GRACE, task: task.abort_handle() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Until when its waiters wait.
    pub(super) fn given_up(&self) -> Instant {
        self.given_up
    }

    /// The task was dropped with its runtime, or its runtime no longer turns.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.outcome.has_changed().is_err() || now >= self.given_up
    }

    /// Waits for the outcome, or `None` if the flight is lost.
    pub(super) fn join(&self) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        let mut outcome = self.outcome.clone();
        let given_up = self.given_up;
        async move {
            let landed = timeout_at(given_up, outcome.wait_for(Option::is_some)).await.ok()?;
            let (outcome, fetch, at) = landed.ok()?.clone()?;
            // Polled so late that the token may have expired: the caller looks again.
            if outcome.is_ok() && at.elapsed() > GRACE {
                return None;
            }
            fetch.waited_for();
            Some(outcome)
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A panic in user code fails this fetch, and no more than that.
async fn caught(fetch: impl Future<Output = Outcome>) -> Outcome {
    let mut fetch = pin!(fetch);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))).unwrap_or_else(|_| {
            Poll::Ready(Err(TokenError::unavailable("the token fetcher panicked")))
        })
    })
    .await
}
