//! A second attempt that goes on where the first was.

use super::*;

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
fn a_body_stays_cut_off_if_the_second_attempt_reads_nothing() {
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
fn the_first_attempt_waits_until_a_second_is_ruled_out() {
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
fn a_frame_read_during_the_401_goes_to_the_second_attempt() {
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
fn a_frame_read_during_the_401_is_kept_without_a_second_attempt() {
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
fn an_end_read_during_the_401_ends_both_attempts() {
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
fn a_second_attempt_that_waits_for_the_polled_body_is_woken() {
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
