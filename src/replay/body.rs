use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{
    remaining::Remaining,
    shared_body::{Read, SharedBody},
};
use crate::error::BoxError;

/// The body of a request that [`Buffered`](super::Buffered) may send twice.
///
/// You meet it as the argument of the function that you give to
/// [`buffered`](crate::BearerAuthLayer::buffered), which makes your own body type of it.
///
/// In the first attempt it reads the original body and keeps what it reads. In the second it begins
/// with what was kept and goes on with what nobody has read yet. Frames come as they came, except
/// that the second attempt has none that are empty.
pub struct ReplayBody<B> {
    role: Role<B>,
}

enum Role<B> {
    First(Arc<SharedBody<B>>),
    Second(Second<B>),
    /// Nobody else reads the body, or ever will.
    Alone(Box<Remaining<B>>),
}

/// The right to a second attempt, and that attempt's body until it is polled. As long as there is
/// one, what the first attempt reads is kept.
#[expect(missing_debug_implementations, reason = "nobody else can name it")]
pub struct Second<B> {
    shared: Arc<SharedBody<B>>,
}

impl<B> ReplayBody<B> {
    /// What to send, and what to hold on to.
    pub(super) fn new(body: B, limit: usize) -> (Self, Second<B>)
    where
        B: Body,
    {
        let shared = Arc::new(SharedBody::new(body, limit));
        (Self { role: Role::First(shared.clone()) }, Second { shared })
    }

    pub(super) fn empty() -> Self {
        Self { role: Role::Alone(Box::new(Remaining::empty())) }
    }
}

impl<B> Second<B> {
    /// Whether there can be a second attempt. If so, the first is held back until it is cut off, or
    /// this is dropped.
    pub(super) fn hold(&self) -> bool {
        self.shared.hold()
    }

    pub(super) fn limit(&self) -> usize {
        self.shared.limit()
    }

    /// Cuts the first attempt off.
    pub(super) fn into_body(self) -> Option<ReplayBody<B>> {
        self.shared.cut_off().then(|| ReplayBody { role: Role::Second(self) })
    }
}

impl<B> Drop for Second<B> {
    fn drop(&mut self) {
        self.shared.release();
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let remaining = match &mut self.role {
                Role::First(shared) => match shared.read(cx) {
                    Read::Item(item) => return item,
                    Read::Remaining(remaining) => remaining,
                },
                Role::Second(second) => ready!(second.shared.take_over(cx)),
                Role::Alone(remaining) => return remaining.poll(cx),
            };
            self.role = Role::Alone(remaining);
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.role {
            Role::First(shared) => shared.is_end_stream(),
            Role::Second(second) => second.shared.is_end_stream_again(),
            Role::Alone(remaining) => remaining.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.role {
            Role::First(shared) => shared.size_hint(),
            Role::Second(second) => second.shared.size_hint_again(),
            Role::Alone(remaining) => remaining.size_hint(),
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match &self.role {
            Role::First(_) => "First",
            Role::Second(_) => "Second",
            Role::Alone(_) => "Alone",
        };
        f.debug_tuple("ReplayBody").field(&format_args!("{role}")).finish()
    }
}

#[cfg(test)]
mod tests;
