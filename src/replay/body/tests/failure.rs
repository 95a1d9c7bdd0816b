//! A body that fails or panics.

use super::*;

#[test]
fn an_error_met_by_the_first_attempt_rules_out_a_second() {
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
fn an_error_met_by_the_second_attempt_is_its_own() {
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
fn a_panic_as_a_body_is_taken_over_fails_the_second_attempt() {
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
