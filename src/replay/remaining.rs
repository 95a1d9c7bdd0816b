//! What is still to be read of a body, for the one attempt that reads it.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{body_error::BodyError, recorded::Recorded};
use crate::error::BoxError;

/// What `poll_frame` comes to.
pub(super) type Item = Option<Result<Frame<Bytes>, BoxError>>;

/// A frame that was read and has gone to nobody. Boxed, as there is seldom one, and room for it is
/// made for every body.
pub(super) type ReadAhead = Option<Box<Result<Frame<Bytes>, BoxError>>>;

/// All that is still to come: what was recorded, then what nobody has read yet.
pub(super) struct Remaining<B> {
    pub(super) recorded: Recorded,
    pub(super) next: ReadAhead,
    pub(super) unread: Unread<B>,
}

/// What nobody has read yet.
pub(super) enum Unread<B> {
    Body(B),
    Ended,
    Failed,
}

impl<B> Remaining<B> {
    pub(super) fn empty() -> Self {
        Self { recorded: Recorded::default(), next: None, unread: Unread::Ended }
    }
}

impl<B> Remaining<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        if let Some(frame) = self.recorded.pop() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(*next));
        }
        // If the body panics, it has failed.
        let mut body = match mem::replace(&mut self.unread, Unread::Failed) {
            Unread::Body(body) => body,
            Unread::Ended => {
                self.unread = Unread::Ended;
                return Poll::Ready(None);
            }
            Unread::Failed => return Poll::Ready(Some(Err(BodyError::Failed.into()))),
        };
        let polled = poll(&mut body, cx);
        match polled {
            Poll::Ready(None) => self.unread = Unread::Ended,
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(Some(Ok(_))) | Poll::Pending => self.unread = Unread::Body(body),
        }
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let ended = match &self.unread {
            Unread::Body(body) => body.is_end_stream(),
            Unread::Ended => true,
            Unread::Failed => false,
        };
        ended && self.next.is_none() && self.recorded.is_empty()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let unread = match &self.unread {
            Unread::Body(body) => body.size_hint(),
            Unread::Ended => SizeHint::with_exact(0),
            Unread::Failed => SizeHint::default(),
        };
        longer(&unread, self.recorded.bytes() + length(&self.next))
    }
}

/// Polls the original body. Its data is shared, not copied, where it is `Bytes`.
pub(super) fn poll<B>(body: &mut B, cx: &mut Context<'_>) -> Poll<Item>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    Pin::new(body).poll_frame(cx).map(|item| {
        item.map(|result| match result {
            Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Err(error) => Err(error.into()),
        })
    })
}

/// The hint for a body with so many bytes more.
pub(super) fn longer(hint: &SizeHint, bytes: usize) -> SizeHint {
    let bytes = bytes as u64;
    let mut sum = SizeHint::default();
    sum.set_lower(hint.lower().saturating_add(bytes));
    if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(bytes)) {
        sum.set_upper(upper);
    }
    sum
}

/// How much data is in it.
pub(super) fn length(frame: &ReadAhead) -> usize {
    match frame.as_deref() {
        Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
        Some(Err(_)) | None => 0,
    }
}
