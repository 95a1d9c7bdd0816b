//! The body that a request came with, which one attempt at a time reads.
//!
//! The first attempt takes the body out to poll it, and puts it back: the lock is never held while
//! code runs that is not ours. In between, the second attempt can take the body over, even if the
//! first is never polled again because its server has stopped reading.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use http_body::{Body, SizeHint};

use super::{
    body_error::BodyError,
    recorded::Recorded,
    remaining::{self, Item, ReadAhead, Remaining, Unread},
};
use crate::error::BoxError;

pub(super) struct SharedBody<B> {
    state: Mutex<State<B>>,
    limit: usize,
}

/// What the first attempt gets.
pub(super) enum Read<B> {
    Item(Poll<Item>),
    /// Everything: there will be no second attempt.
    Remaining(Box<Remaining<B>>),
}

impl<B: Body> SharedBody<B> {
    pub(super) fn new(body: B, limit: usize) -> Self {
        let left = body.size_hint();
        Self {
            limit,
            state: Mutex::new(State {
                turn: Turn::First,
                place: Place::Here(Unread::Body(body)),
                next: None,
                left,
                recorded: Some(Recorded::with_limit(limit)),
                waiting: None,
            }),
        }
    }
}

impl<B> SharedBody<B> {
    /// How a body that takes its place is watched.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Nobody reads from now on. `false` if there cannot be a second attempt.
    pub(super) fn hold(&self) -> bool {
        let mut state = self.lock();
        let possible = state.recorded.is_some();
        if possible {
            state.turn = Turn::Held;
        }
        possible
    }

    /// Cuts the first attempt off. `false` if there cannot be a second.
    pub(super) fn cut_off(&self) -> bool {
        self.with(|state, after| {
            let possible = state.recorded.is_some();
            if possible {
                state.turn = Turn::Second;
                after.wake = state.waiting.take();
            }
            possible
        })
    }

    /// For the second attempt.
    pub(super) fn take_over(&self, cx: &mut Context<'_>) -> Poll<Box<Remaining<B>>> {
        self.with(|state, after| match state.take_remaining() {
            Some(remaining) => Poll::Ready(remaining),
            None => {
                after.replaced = state.wait(cx);
                Poll::Pending
            }
        })
    }

    /// There will be no second attempt, or it wants nothing more.
    pub(super) fn release(&self) {
        self.with(|state, after| match state.turn {
            Turn::First => after.recorded = state.recorded.take(),
            Turn::Held => {
                state.turn = Turn::First;
                after.recorded = state.recorded.take();
                after.wake = state.waiting.take();
            }
            // What was cut off stays so.
            Turn::Second => after.remaining = state.take_remaining(),
        });
    }

    /// For the first attempt.
    pub(super) fn is_end_stream(&self) -> bool {
        self.lock().is_read()
    }

    /// For the first attempt.
    pub(super) fn size_hint(&self) -> SizeHint {
        let state = self.lock();
        match state.turn {
            Turn::Second if !state.is_read() => SizeHint::default(),
            _ => remaining::longer(&state.left, remaining::length(&state.next)),
        }
    }

    /// For the second attempt, before it takes over.
    pub(super) fn is_end_stream_again(&self) -> bool {
        let state = self.lock();
        state.is_read() && state.recorded.as_ref().is_some_and(Recorded::is_empty)
    }

    /// For the second attempt, before it takes over.
    pub(super) fn size_hint_again(&self) -> SizeHint {
        let state = self.lock();
        let recorded = state.recorded.as_ref().map_or(0, Recorded::bytes);
        remaining::longer(&state.left, recorded + remaining::length(&state.next))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State<B>, &mut After<B>) -> T) -> T {
        let mut after = After { wake: None, replaced: None, recorded: None, remaining: None };
        let result = change(&mut self.lock(), &mut after);
        if let Some(waker) = after.wake.take() {
            waker.wake();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> SharedBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// For the first attempt. What it reads is kept.
    pub(super) fn read(&self, cx: &mut Context<'_>) -> Read<B> {
        let mut body = match self.with(|state, after| state.begin(cx, after)) {
            Begin::Poll(body) => body,
            Begin::Answer(answer) => return answer,
        };
        let out = Out { shared: self };
        let item = remaining::poll(&mut body, cx);
        let (left, ended) = (body.size_hint(), body.is_end_stream());
        mem::forget(out);
        let (unread, left) = match &item {
            Poll::Ready(Some(Err(_))) => (Unread::Failed, SizeHint::default()),
            Poll::Ready(None) => (Unread::Ended, SizeHint::with_exact(0)),
            Poll::Ready(Some(Ok(_))) if ended => (Unread::Ended, SizeHint::with_exact(0)),
            _ => (Unread::Body(body), left),
        };
        Read::Item(self.with(|state, after| {
            state.left = left;
            state.place = Place::Here(unread);
            state.finish(item, cx, after)
        }))
    }
}

struct State<B> {
    turn: Turn,
    place: Place<B>,
    /// What the first attempt has read when it was no longer its turn.
    next: ReadAhead,
    /// The size of what is unread.
    left: SizeHint,
    /// What the first attempt has read before, as long as a second is possible.
    recorded: Option<Recorded>,
    /// The first attempt, or the second while the body is out.
    waiting: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Turn {
    First,
    /// A second attempt waits for its token.
    Held,
    Second,
}

enum Place<B> {
    Here(Unread<B>),
    /// The first attempt polls it at this moment.
    Out,
    /// Whoever reads it alone has it.
    Gone,
}

enum Begin<B> {
    Poll(B),
    Answer(Read<B>),
}

impl<B> State<B> {
    /// The first attempt's poll, up to that of the body.
    fn begin(&mut self, cx: &mut Context<'_>, after: &mut After<B>) -> Begin<B> {
        match (self.turn, &self.recorded) {
            (Turn::First, Some(_)) => match mem::replace(&mut self.place, Place::Out) {
                Place::Here(Unread::Body(body)) => return Begin::Poll(body),
                place => self.place = place,
            },
            (Turn::First, None) => {
                if let Some(remaining) = self.take_remaining() {
                    return Begin::Answer(Read::Remaining(remaining));
                }
            }
            (Turn::Held | Turn::Second, _) => {}
        }
        Begin::Answer(Read::Item(self.stand_by(cx, after)))
    }

    /// The first attempt's poll, after that of the body.
    fn finish(
        &mut self,
        item: Poll<Item>,
        cx: &mut Context<'_>,
        after: &mut After<B>,
    ) -> Poll<Item> {
        match (self.turn, item) {
            (Turn::First, item) => {
                let replayable = match &item {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.recorded.as_mut().is_some_and(|recorded| recorded.record(frame))
                    }
                    Poll::Ready(Some(Err(_))) => false,
                    Poll::Ready(None) => true,
                    Poll::Pending => {
                        after.replaced = self.wait(cx);
                        true
                    }
                };
                if !replayable {
                    after.recorded = self.recorded.take();
                }
                return item;
            }
            (Turn::Held | Turn::Second, Poll::Ready(item)) => self.next = item.map(Box::new),
            (Turn::Held | Turn::Second, Poll::Pending) => {}
        }
        if let Turn::Second = self.turn {
            after.wake = self.waiting.take();
        }
        self.stand_by(cx, after)
    }

    /// What the first attempt gets when it cannot read.
    fn stand_by(&mut self, cx: &mut Context<'_>, after: &mut After<B>) -> Poll<Item> {
        match self.turn {
            _ if self.is_read() => Poll::Ready(None),
            Turn::Held => {
                after.replaced = self.wait(cx);
                Poll::Pending
            }
            Turn::First | Turn::Second => Poll::Ready(Some(Err(BodyError::TakenOver.into()))),
        }
    }

    /// All that is left, unless the body is out.
    fn take_remaining(&mut self) -> Option<Box<Remaining<B>>> {
        let next = self.next.take();
        let unread = match mem::replace(&mut self.place, Place::Gone) {
            Place::Here(Unread::Ended) if next.is_none() => {
                // It stays here: the first attempt has had all of it, and may end in peace.
                self.place = Place::Here(Unread::Ended);
                Unread::Ended
            }
            Place::Here(unread) => unread,
            place @ (Place::Out | Place::Gone) => {
                self.place = place;
                return None;
            }
        };
        Some(Box::new(Remaining {
            recorded: self.recorded.take().unwrap_or_default(),
            next,
            unread,
        }))
    }

    /// The first attempt has had everything.
    fn is_read(&self) -> bool {
        self.next.is_none() && matches!(self.place, Place::Here(Unread::Ended))
    }

    fn wait(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &self.waiting {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.waiting.replace(cx.waker().clone()),
        }
    }
}

/// What runs code that is not ours when it is woken or dropped, and so must wait for the lock to be
/// given back.
struct After<B> {
    wake: Option<Waker>,
    replaced: Option<Waker>,
    recorded: Option<Recorded>,
    remaining: Option<Box<Remaining<B>>>,
}

/// Dropped while the body is out, which is when the body panics. Nobody may read on from there.
struct Out<'a, B> {
    shared: &'a SharedBody<B>,
}

impl<B> Drop for Out<'_, B> {
    fn drop(&mut self) {
        self.shared.with(|state, after| {
            state.place = Place::Here(Unread::Failed);
            state.left = SizeHint::default();
            after.recorded = state.recorded.take();
            after.wake = state.waiting.take();
        });
    }
}
