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

/// How much longer than the fetch its waiters wait: its own timeout comes first, unless nobody drives its
/// runtime any more.
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
    landed: watch::Receiver<Option<Landed>>,
    deadline: Instant,
    task: AbortHandle,
}

#[derive(Clone, Debug)]
struct Landed {
    outcome: Outcome,
    fetch: Ended,
    at: Instant,
}

impl Flight {
    /// `land` is called with the outcome before those who wait are woken.
    pub(super) fn launch(
        runtime: &Handle,
        number: u64,
        timeout_at: Instant,
        labels: FetchLabels,
        fetch: impl Future<Output = Outcome> + Send + 'static,
        land: impl FnOnce(&Outcome) + Send + 'static,
    ) -> Self {
        let (sender, landed) = watch::channel(None);
        let task = runtime.spawn(async move {
            let started = Instant::now();
            let observed = observe::Fetch::start(&labels.name, labels.reason);
            let outcome = observed.run(caught(fetch)).await;
            let fetch = observed.end(&outcome, started.elapsed());
            land(&outcome);
            sender.send_replace(Some(Landed { outcome, fetch, at: Instant::now() }));
        });
        Self { number, landed, deadline: timeout_at + GRACE, task: task.abort_handle() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Until when its waiters wait.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The task was dropped with its runtime.
    pub(super) fn is_lost(&self) -> bool {
        self.landed.has_changed().is_err()
    }

    /// Waits for the outcome. `None` if there is none at the deadline, or if the waiter is polled so late that
    /// the token may have expired.
    pub(super) fn join(&self) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        let mut landed = self.landed.clone();
        let deadline = self.deadline;
        async move {
            let landed = timeout_at(deadline, landed.wait_for(Option::is_some)).await;
            let Landed { outcome, fetch, at } = landed.ok()?.ok()?.clone()?;
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
