//! One operation of a store, which may fail in any way.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use crate::error::BoxError;

/// Why an operation has no outcome.
#[derive(Debug)]
pub(super) enum Failure {
    Error(BoxError),
    Timeout(Duration),
    Panic,
}

/// Runs the operation, but not longer than `limit`.
pub(super) async fn guarded<T, E: Into<BoxError>>(
    limit: Duration,
    operation: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    let mut operation = pin!(operation);
    let caught = poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| operation.as_mut().poll(cx)))
            .map(|poll| poll.map(|outcome| outcome.map_err(|error| Failure::Error(error.into()))))
            .unwrap_or(Poll::Ready(Err(Failure::Panic)))
    });
    tokio::time::timeout(limit, caught).await.unwrap_or(Err(Failure::Timeout(limit)))
}

impl Failure {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::Timeout(_) => "timeout",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Timeout(limit) => write!(f, "no answer within {limit:?}"),
            Self::Panic => f.write_str("the store panicked"),
        }
    }
}
