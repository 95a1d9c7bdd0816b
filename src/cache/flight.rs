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

use super::{cooldown::Source, entry::Moment};
use crate::{error::TokenError, observe::ObservedFetch, token::Token};

/// How much longer than the fetch its waiters wait: its own timeout comes first, unless nobody drives its
/// runtime any more.
const GRACE: Duration = Duration::from_secs(1);

pub(super) type Outcome = Result<Token, TokenError>;

/// A fetch under way. Dropping it ends the fetch.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    /// What the age of its token is counted from.
    pub(super) began: Moment,
    /// Whose rejection asked for it.
    pub(super) by: Option<Source>,
    landed: watch::Receiver<Option<(Outcome, ObservedFetch, Instant)>>,
    /// Until when its waiters wait.
    pub(super) deadline: Instant,
    _task: Task,
}

impl Flight {
    pub(super) fn launch(
        runtime: &Handle,
        number: u64,
        began: Moment,
        by: Option<Source>,
        limit: Duration,
        fetch: impl Future<Output = (Outcome, ObservedFetch)> + Send + 'static,
    ) -> Self {
        let (sender, landed) = watch::channel(None);
        let task = runtime.spawn(async move {
            let (outcome, observed) = fetch.await;
            sender.send_replace(Some((outcome, observed, Instant::now())));
        });
        let deadline = began.monotonic + limit + GRACE;
        Self { number, began, by, landed, deadline, _task: Task(task.abort_handle()) }
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
            let (outcome, observed, at) = landed.ok()?.ok()?.clone()?;
            if outcome.is_ok() && at.elapsed() > GRACE {
                return None;
            }
            observed.waited_for();
            Some(outcome)
        }
    }
}

/// Owns a task of the cache: dropping it ends that.
#[derive(Debug)]
pub(super) struct Task(pub(super) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A panic in user code fails this fetch, and no more than that.
pub(super) async fn caught(fetch: impl Future<Output = Outcome>) -> Outcome {
    let mut fetch = pin!(fetch);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))).unwrap_or_else(|_| {
            Poll::Ready(Err(TokenError::unavailable("the token fetcher panicked")))
        })
    })
    .await
}
