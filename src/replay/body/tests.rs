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
fn a_whole_body_is_replayed() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["one", "two", "three"]), 100);
    assert_eq!(all(&mut first), "onetwothree");
    assert_eq!(all(&mut again(second)), "onetwothree");
}

#[test]
fn frames_are_replayed_as_they_came() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["one", "two"]), 100);
    all(&mut first);
    let mut second = again(second);
    assert_eq!(data(&mut second), "one");
    assert_eq!(data(&mut second), "two");
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
}

#[test]
fn data_is_shared_and_not_copied() {
    let (sent, channel) = (Bytes::from(vec![7; 1000]), Channel::default());
    channel.push(Ok(Frame::data(sent.clone())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 1000);
    assert_eq!(data(&mut first).as_ptr(), sent.as_ptr());
    assert_eq!(data(&mut again(second)).as_ptr(), sent.as_ptr());
}

#[tokio::test]
async fn data_that_is_not_bytes_is_replayed() {
    let (first, second) = ReplayBody::new(Full::new(&b"abc"[..]), 3);
    assert_eq!(first.collect().await.unwrap().to_bytes(), "abc");
    assert!(second.hold());
    let second = second.into_body().unwrap();
    assert_eq!(second.collect().await.unwrap().to_bytes(), "abc");
}

#[test]
fn trailers_are_replayed_after_the_data() {
    let channel = Channel::default();
    channel.send("data");
    channel.push(Ok(Frame::trailers(trailers())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 100);
    let told = |body: &mut ReplayBody<Channel>| {
        assert_eq!(data(body), "data");
        assert!(!body.is_end_stream());
        let Poll::Ready(Some(Ok(frame))) = poll(body) else { panic!("no trailers") };
        assert_eq!(frame.into_trailers().unwrap(), trailers());
        assert!(matches!(poll(body), Poll::Ready(None)));
        assert_eq!(state(body), ENDED);
    };
    told(&mut first);
    told(&mut again(second));
}

#[test]
fn trailers_alone_are_replayed() {
    let channel = Channel::default().telling_end();
    channel.push(Ok(Frame::trailers(trailers())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 100);
    poll(&mut first).is_ready();
    assert_eq!(state(&first), ENDED);
    let mut second = again(second);
    assert_eq!(state(&second), exactly(0));
    let Poll::Ready(Some(Ok(frame))) = poll(&mut second) else { panic!("no trailers") };
    assert_eq!(frame.into_trailers().unwrap(), trailers());
    assert_eq!(state(&second), ENDED);
}

#[test]
fn a_body_that_proves_empty_is_replayed() {
    let (mut first, second) = ReplayBody::new(Channel::of(&[]), 0);
    assert_eq!(state(&first), UNKNOWN);
    assert_eq!(all(&mut first), "");
    assert_eq!(state(&first), ENDED);
    let mut second = again(second);
    assert_eq!(state(&second), ENDED);
    assert_eq!(all(&mut second), "");
}

#[test]
fn a_body_that_just_reaches_the_limit_is_replayed() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["1234", "5678"]), 8);
    assert_eq!(all(&mut first), "12345678");
    assert_eq!(all(&mut again(second)), "12345678");
}

#[test]
fn a_body_of_a_byte_more_than_the_limit_is_sent_once() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["1234", "5678"]), 7);
    assert_eq!(all(&mut first), "12345678");
    assert!(!second.hold());
    assert!(second.into_body().is_none());
}

#[test]
fn trailers_count_towards_the_limit() {
    for (limit, fits) in [(10, false), (11, true)] {
        let channel = Channel::of(&["1234"]);
        channel.push(Ok(Frame::trailers(trailers())));
        let (mut first, second) = ReplayBody::new(channel, limit);
        while let Poll::Ready(Some(frame)) = poll(&mut first) {
            frame.unwrap();
        }
        assert_eq!(second.hold(), fits);
    }
}

#[test]
fn what_was_kept_is_dropped_by_the_frame_that_exceeds_the_limit() {
    let (sent, channel) = (Bytes::from(vec![7; 4]), Channel::default());
    channel.push(Ok(Frame::data(sent.clone())));
    channel.push(Ok(Frame::data(sent.slice(..1))));
    channel.send("and so on");
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 4);
    data(&mut first);
    assert!(!sent.is_unique());
    data(&mut first);
    assert!(sent.is_unique());
    assert!(!second.hold());
    assert_eq!(all(&mut first), "and so on");
    assert_eq!(state(&first), ENDED);
}

#[test]
fn what_was_kept_is_dropped_once_there_will_be_no_second_attempt() {
    let (sent, channel) = (Bytes::from(vec![7; 4]), Channel::default());
    channel.push(Ok(Frame::data(sent.clone())));
    channel.push(Ok(Frame::data(sent.clone())));
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    drop(second);
    assert!(!sent.is_unique(), "the channel has another");
    data(&mut first);
    assert!(sent.is_unique());
    channel.send("more");
    channel.close();
    assert_eq!(all(&mut first), "more");
}

#[test]
fn what_is_replayed_is_dropped_on_the_way() {
    let (sent, channel) = (Bytes::from(vec![7; 4]), Channel::default());
    channel.push(Ok(Frame::data(sent.clone())));
    let (mut first, second) = ReplayBody::new(channel, 100);
    data(&mut first);
    let mut second = again(second);
    assert!(!sent.is_unique());
    data(&mut second);
    assert!(sent.is_unique());
}

#[test]
fn an_endless_run_of_empty_frames_is_not_kept() {
    let channel = Channel::default();
    for _ in 0..100 {
        channel.send("");
    }
    channel.send("x");
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 1);
    assert_eq!(all(&mut first), "x");
    let mut second = again(second);
    assert_eq!(data(&mut second), "x");
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
}

#[test]
fn a_body_that_goes_on_after_its_trailers_is_sent_once() {
    let channel = Channel::default();
    channel.push(Ok(Frame::trailers(trailers())));
    channel.send("late");
    let (mut first, second) = ReplayBody::new(channel, 100);
    poll(&mut first).is_ready();
    assert_eq!(data(&mut first), "late");
    assert!(!second.hold());
}

#[test]
fn hints_of_the_first_attempt_are_those_of_the_original() {
    let channel = Channel::of_size(7).telling_end();
    let (mut first, _second) = ReplayBody::new(channel.clone(), 100);
    assert_eq!(state(&first), exactly(7));
    assert!(poll(&mut first).is_pending());
    assert_eq!(state(&first), exactly(7));
    channel.send("1234");
    data(&mut first);
    assert_eq!(state(&first), exactly(3));
    channel.send("567");
    channel.close();
    data(&mut first);
    assert_eq!(state(&first), ENDED);
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
    assert_eq!(state(&first), ENDED);
}

#[test]
fn hints_of_the_first_attempt_stay_true_past_the_limit() {
    let channel = Channel::of_size(7).telling_end();
    let (mut first, _second) = ReplayBody::new(channel.clone(), 3);
    channel.send("1234");
    data(&mut first);
    assert_eq!(state(&first), exactly(3));
    channel.send("56");
    data(&mut first);
    assert_eq!(state(&first), exactly(1));
    channel.send("7");
    channel.close();
    data(&mut first);
    assert_eq!(state(&first), ENDED);
}

#[test]
fn hints_of_the_first_attempt_promise_nothing_once_it_is_cut_off() {
    let channel = Channel::of_size(7);
    channel.send("1234");
    let (mut first, second) = ReplayBody::new(channel, 100);
    data(&mut first);
    assert!(second.hold());
    assert_eq!(state(&first), exactly(3));
    let mut second = second.into_body().unwrap();
    assert_eq!(state(&first), UNKNOWN);
    data(&mut second);
    assert_eq!(state(&first), UNKNOWN);
}

#[test]
fn hints_of_the_second_attempt_count_what_was_kept() {
    let channel = Channel::of_size(12).telling_end();
    channel.send("1234");
    channel.send("567");
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    data(&mut first);
    let mut second = again(second);
    assert_eq!(state(&second), exactly(12));
    data(&mut second);
    assert_eq!(state(&second), exactly(8));
    data(&mut second);
    assert_eq!(state(&second), exactly(5));
    assert!(poll(&mut second).is_pending());
    assert_eq!(state(&second), exactly(5));
    channel.send("89012");
    channel.close();
    data(&mut second);
    assert_eq!(state(&second), ENDED);
}

#[test]
fn hints_of_the_second_attempt_are_exact_if_all_of_it_was_kept() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["1234", "567"]), 100);
    assert_eq!(state(&first), UNKNOWN);
    all(&mut first);
    let mut second = again(second);
    assert_eq!(state(&second), exactly(7));
    data(&mut second);
    assert_eq!(state(&second), exactly(3));
    data(&mut second);
    assert_eq!(state(&second), ENDED);
}

#[test]
fn hints_of_the_second_attempt_have_no_upper_bound_if_the_original_has_none() {
    let channel = Channel::default();
    channel.send("1234");
    let (mut first, second) = ReplayBody::new(channel, 100);
    data(&mut first);
    let mut second = again(second);
    assert_eq!(state(&second), (4, None, false));
    data(&mut second);
    assert_eq!(state(&second), UNKNOWN);
}

#[test]
fn an_empty_replay_is_at_its_end() {
    let mut body = ReplayBody::<Channel>::empty();
    assert_eq!(state(&body), ENDED);
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[test]
fn the_second_attempt_goes_on_where_the_first_was() {
    let channel = Channel::default();
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    channel.send("half ");
    data(&mut first);
    assert!(poll(&mut first).is_pending());
    let mut second = again(second);
    assert_eq!(data(&mut second), "half ");
    assert!(poll(&mut second).is_pending());
    channel.send("and half");
    channel.close();
    assert_eq!(all(&mut second), "and half");
    assert_eq!(error(&mut first), CUT_OFF);
}

#[test]
fn the_second_attempt_goes_on_where_the_first_was_dropped() {
    let channel = Channel::of(&["half ", "and half"]);
    let (mut first, second) = ReplayBody::new(channel, 100);
    data(&mut first);
    drop(first);
    assert_eq!(all(&mut again(second)), "half and half");
}

#[test]
fn the_second_attempt_begins_if_the_first_has_not_begun() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["all"]), 3);
    assert_eq!(all(&mut again(second)), "all");
    assert_eq!(error(&mut first), CUT_OFF);
}

#[test]
fn what_the_second_attempt_reads_has_no_limit() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["1234", "567890"]), 4);
    data(&mut first);
    assert_eq!(all(&mut again(second)), "1234567890");
}

#[test]
fn a_body_that_is_cut_off_never_seems_whole() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["1234", "567"]).telling_end(), 100);
    data(&mut first);
    let mut second = again(second);
    for _ in 0..2 {
        assert_eq!(error(&mut first), CUT_OFF);
        assert!(!first.is_end_stream());
    }
    all(&mut second);
    assert_eq!(error(&mut first), CUT_OFF);
    drop(second);
    assert_eq!(error(&mut first), CUT_OFF);
    assert!(!first.is_end_stream());
}

#[test]
fn a_body_that_is_cut_off_stays_so_if_the_second_attempt_reads_nothing() {
    let channel = Channel::of(&["1234", "567"]);
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    drop(again(second));
    assert_eq!(error(&mut first), CUT_OFF);
    assert_eq!(Arc::strong_count(&channel.0), 1, "the original body is dropped");
}

#[test]
fn a_body_that_was_read_to_its_end_is_not_cut_off() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["all"]).telling_end(), 100);
    data(&mut first);
    let mut second = again(second);
    assert_eq!(state(&first), ENDED);
    assert_eq!(all(&mut second), "all");
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
    drop(second);
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
}

#[test]
fn the_first_attempt_is_woken_to_be_cut_off() {
    let (first, second) = ReplayBody::new(Channel::default(), 100);
    let mut first = task::spawn(first);
    assert!(first.enter(|cx, body| body.poll_frame(cx)).is_pending());
    assert!(second.hold());
    assert!(!first.is_woken());
    let _second = second.into_body().unwrap();
    assert!(first.is_woken());
    let item = first.enter(|cx, body| body.poll_frame(cx));
    assert!(matches!(item, Poll::Ready(Some(Err(_)))));
}

#[test]
fn the_second_attempt_is_woken_by_the_original() {
    let channel = Channel::default();
    let (first, second) = ReplayBody::new(channel.clone(), 100);
    let mut first = task::spawn(first);
    assert!(first.enter(|cx, body| body.poll_frame(cx)).is_pending());
    let mut second = task::spawn(again(second));
    assert!(second.enter(|cx, body| body.poll_frame(cx)).is_pending());
    channel.send("more");
    assert!(second.is_woken());
}

#[test]
fn the_first_attempt_is_held_back_until_it_is_known_that_there_is_no_second() {
    let channel = Channel::of(&["1234", "567"]);
    let (first, second) = ReplayBody::new(channel.clone(), 4);
    let mut first = task::spawn(first);
    let mut next = || first.enter(|cx, body| body.poll_frame(cx));
    assert!(next().is_ready());
    assert!(second.hold());
    assert!(next().is_pending());
    assert!(next().is_pending());
    assert_eq!(channel.lock().polls, 1);
    drop(second);
    assert!(first.is_woken());
    assert_eq!(all(&mut first), "567");
}

#[test]
fn a_frame_that_was_read_as_the_refusal_came_goes_to_the_second_attempt() {
    for sent in [false, true] {
        let channel = Channel::default();
        channel.send("1234");
        let (mut first, second) = ReplayBody::new(channel.clone(), 4);
        data(&mut first);
        let slot = Arc::new(Mutex::new(None));
        channel.lock().during_poll = Some(Box::new({
            let slot = slot.clone();
            move || {
                assert!(second.hold());
                *slot.lock().unwrap() = Some(match sent {
                    false => Err(second),
                    true => Ok(second.into_body().unwrap()),
                });
            }
        }));
        channel.lock().size = Some(6);
        channel.send("567");
        let polled = poll(&mut first);
        let mut second = match slot.lock().unwrap().take().unwrap() {
            Err(second) => {
                assert!(polled.is_pending());
                assert_eq!(state(&first), exactly(6));
                second.into_body().unwrap()
            }
            Ok(second) => second,
        };
        assert_eq!(error(&mut first), CUT_OFF);
        assert_eq!(state(&second), exactly(10));
        channel.send("890");
        channel.close();
        assert_eq!(all(&mut second), "1234567890");
    }
}

#[test]
fn a_frame_that_was_read_as_the_refusal_came_is_not_lost_if_there_is_no_second_attempt() {
    let channel = Channel::of(&["1234", "567"]);
    let (first, second) = ReplayBody::new(channel.clone(), 100);
    let slot = Arc::new(Mutex::new(None));
    channel.lock().during_poll = Some(Box::new({
        let slot = slot.clone();
        move || {
            assert!(second.hold());
            *slot.lock().unwrap() = Some(second);
        }
    }));
    let mut first = task::spawn(first);
    assert!(first.enter(|cx, body| body.poll_frame(cx)).is_pending());
    drop(slot.lock().unwrap().take());
    assert!(first.is_woken());
    assert_eq!(all(&mut first), "1234567");
}

#[test]
fn the_end_that_was_read_as_the_refusal_came_is_the_end_for_both() {
    let channel = Channel::of(&["all"]);
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    let slot = Arc::new(Mutex::new(None));
    channel.lock().during_poll = Some(Box::new({
        let slot = slot.clone();
        move || *slot.lock().unwrap() = Some(again(second))
    }));
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
    let mut second = slot.lock().unwrap().take().unwrap();
    assert_eq!(all(&mut second), "all");
    assert!(matches!(poll(&mut first), Poll::Ready(None)));
}

#[test]
fn a_second_attempt_that_wants_the_body_while_it_is_polled_is_woken_when_it_can_have_it() {
    let channel = Channel::default();
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    let slot = Arc::new(Mutex::new(None));
    channel.lock().during_poll = Some(Box::new({
        let slot = slot.clone();
        move || {
            let mut second = task::spawn(again(second));
            assert!(second.enter(|cx, body| body.poll_frame(cx)).is_pending());
            *slot.lock().unwrap() = Some(second);
        }
    }));
    assert_eq!(error(&mut first), CUT_OFF);
    let mut second = slot.lock().unwrap().take().unwrap();
    assert!(second.is_woken());
    channel.send("all");
    channel.close();
    assert_eq!(all(&mut second), "all");
}

#[test]
fn an_error_of_the_original_is_the_first_attempts_and_there_is_no_second() {
    let channel = Channel::default();
    channel.send("half");
    channel.push(Err("disk full"));
    let (mut first, second) = ReplayBody::new(channel, 100);
    data(&mut first);
    assert_eq!(error(&mut first), "disk full");
    assert_eq!(state(&first), UNKNOWN);
    assert_eq!(error(&mut first), "the request's body has failed before");
    assert!(!second.hold());
}

#[test]
fn an_error_of_the_original_is_the_second_attempts_if_that_meets_it() {
    let channel = Channel::default();
    channel.send("half");
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    channel.push(Err("disk full"));
    let mut second = again(second);
    assert_eq!(data(&mut second), "half");
    assert_eq!(error(&mut second), "disk full");
    assert_eq!(state(&second), UNKNOWN);
    assert_eq!(error(&mut second), "the request's body has failed before");
    assert_eq!(error(&mut first), CUT_OFF);
}

#[test]
fn a_body_that_panics_is_sent_once_and_leaves_nobody_waiting() {
    let channel = Channel::of(&["half", "half"]);
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    channel.lock().during_poll = Some(Box::new(|| panic!("a bug in the body")));
    catch_unwind(AssertUnwindSafe(|| poll(&mut first))).unwrap_err();
    assert!(!second.hold());
    assert_eq!(error(&mut first), "the request's body has failed before");
}

#[test]
fn a_body_that_panics_as_it_is_taken_over_fails_the_second_attempt() {
    let channel = Channel::of(&["half", "half"]);
    let (mut first, second) = ReplayBody::new(channel.clone(), 100);
    data(&mut first);
    let slot = Arc::new(Mutex::new(None));
    channel.lock().during_poll = Some(Box::new({
        let slot = slot.clone();
        move || {
            let mut second = task::spawn(again(second));
            assert!(second.enter(|cx, body| body.poll_frame(cx)).is_pending());
            *slot.lock().unwrap() = Some(second);
            panic!("a bug in the body");
        }
    }));
    catch_unwind(AssertUnwindSafe(|| poll(&mut first))).unwrap_err();
    let mut second = slot.lock().unwrap().take().unwrap();
    assert!(second.is_woken());
    assert_eq!(error(&mut second), "the request's body has failed before");
}

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

/// Random bodies, limits and moments for the refusal, against what must come of them.
#[test]
fn whatever_happens_no_attempt_takes_a_part_for_the_whole() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let channel = Channel::default();
        let limit = random.usize(..24);
        let (first, second) = ReplayBody::new(channel.clone(), limit);
        let (mut first, mut second) = (Some(first), Some(second));
        let (mut sent, mut held, mut replay) = (Vec::new(), false, None);
        let (mut by_first, mut by_second) = (Vec::new(), Vec::new());
        let (mut first_ended, mut second_ended) = (false, false);
        let mut probes = Vec::new();
        channel.lock().tells_end = random.bool();
        for step in 0..40 {
            match random.u8(..8) {
                0 | 1 if !channel.lock().closed => {
                    let data = Bytes::from(vec![step; random.usize(..8)]);
                    sent.extend_from_slice(&data);
                    probes.push(data.slice(..));
                    channel.push(Ok(Frame::data(data)));
                }
                2 if random.u8(..8) == 0 => channel.close(),
                3 if random.u8(..4) == 0 => {
                    held = second.as_ref().is_some_and(Second::hold);
                    assert!(!held || by_first.len() <= limit, "seed {seed}");
                    assert!(held || second.is_none() || by_first.len() > limit, "seed {seed}");
                }
                4 if held && random.bool() => replay = second.take().and_then(Second::into_body),
                5 if random.u8(..32) == 0 => first = None,
                6 if random.u8(..16) == 0 => (second, held) = (None, false),
                _ => {
                    for (body, seen, ended) in [
                        (&mut first, &mut by_first, &mut first_ended),
                        (&mut replay, &mut by_second, &mut second_ended),
                    ] {
                        let Some(body) = body else { continue };
                        let hint = body.size_hint();
                        let told_end = body.is_end_stream();
                        match poll(body) {
                            Poll::Ready(Some(Ok(frame))) => {
                                let data = frame.into_data().unwrap();
                                assert!(!told_end && !*ended, "seed {seed}");
                                assert!(
                                    hint.upper().is_none_or(|upper| upper >= data.len() as u64),
                                    "seed {seed}"
                                );
                                seen.extend_from_slice(&data);
                            }
                            Poll::Ready(None) => *ended = true,
                            Poll::Ready(Some(Err(_))) => assert!(!told_end, "seed {seed}"),
                            Poll::Pending => assert!(!told_end, "seed {seed}"),
                        }
                    }
                }
            }
            let queued: usize = channel.lock().items.len();
            let read = probes.len() - queued;
            let kept = probes[..read].iter().filter(|data| !data.is_unique());
            assert!(kept.map(Bytes::len).sum::<usize>() <= limit, "seed {seed}");
            assert!(sent.starts_with(&by_first), "seed {seed}");
            assert!(sent.starts_with(&by_second), "seed {seed}");
            let whole = channel.lock().closed;
            assert!(!first_ended || whole && by_first == sent, "seed {seed}");
            assert!(!second_ended || whole && by_second == sent, "seed {seed}");
        }
    }
}

#[test]
fn two_threads_can_read_at_the_same_time() {
    for round in 0..2000 {
        let channel = Channel::of(&["1", "2", "3", "4", "5", "6", "7", "8"]);
        let (mut first, second) = ReplayBody::new(channel, 100);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            loop {
                match poll(&mut first) {
                    Poll::Ready(Some(Ok(frame))) => {
                        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                    }
                    Poll::Ready(None) => return (text, true),
                    Poll::Ready(Some(Err(_))) => return (text, false),
                    Poll::Pending => std::thread::yield_now(),
                }
            }
        });
        for _ in 0..round % 100 {
            std::hint::spin_loop();
        }
        let mut second = again(second);
        let mut text = String::new();
        loop {
            match poll(&mut second) {
                Poll::Ready(Some(Ok(frame))) => {
                    text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                }
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(error))) => panic!("{error}"),
                Poll::Pending => std::thread::yield_now(),
            }
        }
        assert_eq!(text, "12345678");
        let (text, whole) = reader.join().unwrap();
        assert!("12345678".starts_with(&text));
        assert!(!whole || text == "12345678");
    }
}
