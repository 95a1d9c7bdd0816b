//! The sizes and ends that the two attempts state.

use super::*;

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
fn hints_of_a_cut_off_first_attempt_promise_nothing() {
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
fn hints_of_the_second_attempt_add_no_upper_bound() {
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
