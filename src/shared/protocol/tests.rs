use super::*;

type Steps = Vec<Step<u8, &'static str>>;

const FAST: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_secs(60);

/// What is done as these things happen, one after the other.
fn steps(events: impl IntoIterator<Item = (Event<u8, &'static str>, Duration)>) -> Steps {
    let (mut protocol, first) = Protocol::start(Duration::from_secs(5));
    let rest = events.into_iter().map(|(event, at)| protocol.next(event, at, 1.0));
    [first].into_iter().chain(rest).collect()
}

fn at_once(events: impl IntoIterator<Item = Event<u8, &'static str>>) -> Steps {
    steps(events.into_iter().map(|event| (event, FAST)))
}

fn asked(token: u8, lease: Lease) -> Event<u8, &'static str> {
    Event::Asked(Answer::Lasting(token), lease)
}

fn failed(lease: Lease) -> Event<u8, &'static str> {
    Event::Asked(Answer::Failed("down"), lease)
}

const NOTHING: Event<u8, &str> = Event::Loaded(Found::Nothing);

#[test]
fn a_good_token_in_the_store_is_the_end() {
    let found = Event::Loaded(Found::Fresh(1));
    assert_eq!(at_once([found]), [Step::Load, Step::End(End::Token(1, Origin::Store))]);
}

#[test]
fn who_gets_the_lock_looks_again_asks_and_stores() {
    let events =
        [NOTHING, Event::Locked(true), NOTHING, asked(1, Lease::Held), Event::Stored(true)];
    let expected = [
        Step::Load,
        Step::Lock,
        Step::Load,
        Step::Ask(Lease::Held),
        Step::Store(1),
        Step::End(End::Token(1, Origin::Issuer)),
    ];
    assert_eq!(at_once(events), expected);
}

#[test]
fn who_finds_a_token_under_the_lock_lets_go_and_does_not_ask() {
    let events = [NOTHING, Event::Locked(true), Event::Loaded(Found::Fresh(1)), Event::Unlocked];
    let expected =
        [Step::Load, Step::Lock, Step::Load, Step::Unlock, Step::End(End::Token(1, Origin::Store))];
    assert_eq!(at_once(events), expected);
}

#[test]
fn pauses_grow_from_50_ms_to_a_second_within_the_patience() {
    let (mut protocol, _) = Protocol::<u8, &str>::start(Duration::from_secs(5));
    let (mut elapsed, mut pauses) = (Duration::ZERO, Vec::new());
    loop {
        assert_eq!(protocol.next(NOTHING, elapsed, 1.0), Step::Lock);
        match protocol.next(Event::Locked(false), elapsed, 1.0) {
            Step::Pause(pause) => {
                elapsed += pause;
                pauses.push(pause.as_millis());
                assert_eq!(protocol.next(Event::Paused, elapsed, 1.0), Step::Load);
            }
            step => {
                assert_eq!(step, Step::Ask(Lease::NotHeld));
                break;
            }
        }
    }
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000, 450]);
    assert_eq!(elapsed, Duration::from_secs(5));
}

#[test]
fn a_store_that_fails_before_the_fetch_is_not_asked_again() {
    let way = [NOTHING, Event::Locked(true), NOTHING];
    for fails in 0..way.len() {
        let before = way[..fails].iter().cloned();
        let steps = at_once(before.chain([Event::StoreFailed, asked(1, Lease::NotHeld)]));
        let end = Step::End(End::Token(1, Origin::Issuer));
        assert_eq!(steps[fails + 1..], [Step::Ask(Lease::NotHeld), end], "{fails}");
    }
}

#[test]
fn a_store_that_fails_after_the_fetch_changes_nothing() {
    let way = [NOTHING, Event::Locked(true), NOTHING, asked(1, Lease::Held)];
    let steps = at_once(way.iter().cloned().chain([Event::StoreFailed]));
    assert_eq!(steps[5], Step::End(End::Token(1, Origin::Issuer)));

    let way = [NOTHING, Event::Locked(true), NOTHING, asked(1, Lease::NotHeld)];
    let steps = at_once(way.iter().cloned().chain([Event::StoreFailed]));
    assert_eq!(steps[5], Step::End(End::Token(1, Origin::Issuer)));

    let way = [NOTHING, Event::Locked(true), NOTHING, failed(Lease::Held)];
    let steps = at_once(way.iter().cloned().chain([Event::StoreFailed]));
    assert_eq!(steps[5], Step::End(End::Failed { error: "down", fallback: None }));
}

#[test]
fn an_error_lets_the_lock_go_and_ends_with_what_was_due() {
    let due = || Event::Loaded(Found::Due(1));
    let events = [due(), Event::Locked(true), due(), failed(Lease::Held), Event::Unlocked];
    let steps = at_once(events);
    assert_eq!(steps[4], Step::Unlock);
    assert_eq!(steps[5], Step::End(End::Failed { error: "down", fallback: Some(1) }));
}

#[test]
fn a_holder_that_lost_its_lease_prefers_the_stored_token() {
    let before = [NOTHING, Event::Locked(true), NOTHING, asked(1, Lease::NotHeld)];
    let newer = before.iter().cloned().chain([Event::Loaded(Found::Fresh(2))]);
    let steps = at_once(newer);
    assert_eq!(steps[4..], [Step::Load, Step::End(End::Token(2, Origin::Store))]);

    let none = before.iter().cloned().chain([NOTHING, Event::Unlocked]);
    let steps = at_once(none);
    assert_eq!(steps[4..], [Step::Load, Step::Unlock, Step::End(End::Token(1, Origin::Issuer))]);
}

#[test]
fn a_lock_that_is_never_free_is_not_waited_for_without_end() {
    let steps =
        steps([(NOTHING, LATE), (Event::Locked(false), LATE), (asked(1, Lease::NotHeld), LATE)]);
    assert_eq!(steps[2..], [Step::Ask(Lease::NotHeld), Step::End(End::Token(1, Origin::Issuer))]);
}

#[test]
fn a_waiter_without_a_token_looks_for_that_of_the_holder() {
    let before = [NOTHING, Event::Locked(false), failed(Lease::NotHeld)];
    let with = |last| steps(before.iter().cloned().chain([last]).map(|event| (event, LATE)));
    let found = with(Event::Loaded(Found::Fresh(2)));
    assert_eq!(found[3..], [Step::Load, Step::End(End::Token(2, Origin::Store))]);
    let fails = |fallback| [Step::Load, Step::End(End::Failed { error: "down", fallback })];
    assert_eq!(with(NOTHING)[3..], fails(None));
    assert_eq!(with(Event::StoreFailed)[3..], fails(None));
    assert_eq!(with(Event::Loaded(Found::Due(3)))[3..], fails(Some(3)));
}
