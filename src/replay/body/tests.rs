mod any_order;
mod failure;
mod hints;
mod limit;
mod replayed;
mod takeover;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard},
    task::Waker,
};

use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use tokio_test::task;

use super::*;
use crate::replay::remaining::Item;

/// A body whose frames come when the test sends them.
#[derive(Clone, Default)]
struct Channel(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    items: VecDeque<Result<Frame<Bytes>, &'static str>>,
    closed: bool,
    ended: bool,
    /// The size that it says it has.
    size: Option<u64>,
    /// Whether it says that it is at its end before it is asked for more.
    tells_end: bool,
    during_poll: Option<Box<dyn FnOnce() + Send>>,
    waker: Option<Waker>,
    polls: usize,
}

impl Channel {
    /// All of it is there.
    fn of(data: &[&'static str]) -> Self {
        let channel = Self::default();
        data.iter().for_each(|data| channel.send(data));
        channel.close();
        channel
    }

    fn of_size(size: u64) -> Self {
        let channel = Self::default();
        channel.lock().size = Some(size);
        channel
    }

    fn telling_end(self) -> Self {
        self.lock().tells_end = true;
        self
    }

    fn send(&self, data: &'static str) {
        self.push(Ok(Frame::data(Bytes::from_static(data.as_bytes()))));
    }

    fn push(&self, item: Result<Frame<Bytes>, &'static str>) {
        self.lock().items.push_back(item);
        self.wake();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        waker.iter().for_each(Waker::wake_by_ref);
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
}

impl Body for Channel {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let during = self.lock().during_poll.take();
        if let Some(during) = during {
            during();
        }
        let mut script = self.lock();
        script.polls += 1;
        assert!(!script.ended, "polled after its end");
        let item = script.items.pop_front();
        if let (Some(Ok(frame)), Some(size)) = (&item, &mut script.size) {
            *size -= frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        script.ended = matches!(item, Some(Err(_))) || item.is_none() && script.closed;
        if item.is_none() && !script.closed {
            script.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        let script = self.lock();
        script.tells_end && script.closed && script.items.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "12".parse().unwrap());
    trailers
}

fn poll(body: &mut ReplayBody<Channel>) -> Poll<Item> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// The data of the next frame.
#[track_caller]
fn data(body: &mut ReplayBody<Channel>) -> Bytes {
    match poll(body) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("data"),
        other => panic!("no data: {other:?}"),
    }
}

#[track_caller]
fn error(body: &mut ReplayBody<Channel>) -> String {
    match poll(body) {
        Poll::Ready(Some(Err(error))) => error.to_string(),
        other => panic!("no error: {other:?}"),
    }
}

/// All that there is, up to the end.
#[track_caller]
fn all(body: &mut ReplayBody<Channel>) -> String {
    let mut text = String::new();
    loop {
        match poll(body) {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().expect("data");
                text.push_str(std::str::from_utf8(&data).unwrap());
            }
            Poll::Ready(None) => return text,
            other => panic!("after {text:?}: {other:?}"),
        }
    }
}

#[track_caller]
fn again(second: Second<Channel>) -> ReplayBody<Channel> {
    assert!(second.hold(), "no second attempt");
    second.into_body().expect("a second attempt")
}

/// Lower and upper bound of the size, and whether it is at its end.
fn state(body: &ReplayBody<Channel>) -> (u64, Option<u64>, bool) {
    let hint = body.size_hint();
    (hint.lower(), hint.upper(), body.is_end_stream())
}

const UNKNOWN: (u64, Option<u64>, bool) = (0, None, false);
const ENDED: (u64, Option<u64>, bool) = (0, Some(0), true);

fn exactly(size: u64) -> (u64, Option<u64>, bool) {
    (size, Some(size), false)
}

const CUT_OFF: &str =
    "the request's body is cut off, as a second attempt with another token sends it";

#[test]
fn debug_shows_no_data() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["secret"]), 100);
    data(&mut first);
    let second = again(second);
    assert_eq!(format!("{first:?} {second:?}"), "ReplayBody(First) ReplayBody(Second)");
}

#[test]
fn a_body_can_go_wherever_its_original_can() {
    fn check<T: Send + Sync + Unpin>() {}
    fn check_send<T: Send + Unpin>() {}
    check::<ReplayBody<Channel>>();
    check_send::<ReplayBody<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>>>();
}

/// The numbers that `Buffered` states.
#[test]
#[cfg(target_pointer_width = "64")]
fn bookkeeping_is_as_small_as_documented() {
    type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

    let counters = 2 * size_of::<usize>();
    let kept = counters + size_of::<SharedBody<Boxed>>() + size_of::<Second<Boxed>>();
    assert!(kept < 512, "{kept} bytes");
    assert_eq!(size_of::<Bytes>(), 32);
}
