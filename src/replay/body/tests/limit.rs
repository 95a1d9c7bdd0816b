//! How much of a body is kept, and until when.

use super::*;

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
fn kept_data_is_dropped_once_a_second_attempt_is_ruled_out() {
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
