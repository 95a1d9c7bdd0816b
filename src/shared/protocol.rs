//! In which order one fetch goes to the store and to the issuer. No I/O and no clock: what has happened comes
//! in, and what to do next goes out.
//!
//! The states, and where a process that dies there leaves the others:
//!
//! | State | It does | If the process dies |
//! | --- | --- | --- |
//! | `Looking` | loads the entry | nothing is changed |
//! | `Locking` | takes the lock | the lock, if it was taken, runs out with its lease |
//! | `LookingAgain` | loads once more, under the lock | the lock runs out |
//! | `Asking(Held)` | asks the issuer, and prolongs the lease | the lock runs out, the token is lost |
//! | `Storing` | stores the token and lets the lock go, in one step | the token is there, or the lock runs out and the token is lost |
//! | `Yielding` | looks at what another has stored, as the lease may be lost | the lock, if it is held, runs out |
//! | `Unlocking` | lets the lock go | the lock runs out |
//! | `Pausing` | waits for the holder of the lock | nothing is changed |
//! | `Asking(NotHeld)` | asks the issuer without the lock | nothing is changed |
//! | `Overtaking` | the same, as it has waited for the holder for long enough | nothing is changed |
//! | `LookingLast` | looks whether the holder was faster, as the issuer gave no token | nothing is changed |
//!
//! The issuer is asked at most once. The store is left alone from the first of its operations that fails.

use std::{mem, time::Duration};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One fetch. `T` is a token and `E` the error of a failed fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Protocol<T, E> {
    state: State<T, E>,
    /// A token from the store that is usable, but due to be replaced.
    fallback: Option<T>,
    /// Since the start, until when others are waited for.
    give_up: Duration,
    pauses: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<T, E> {
    Looking,
    Locking,
    LookingAgain,
    Asking(Lease),
    Storing(T),
    Yielding(T),
    Unlocking(End<T, E>),
    Pausing,
    Overtaking,
    LookingLast(E),
    Ended,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<T, E> {
    Load,
    Lock,
    /// Ask the issuer.
    Ask(Lease),
    Store(T),
    Unlock,
    Pause(Duration),
    End(End<T, E>),
}

/// Whether the lock is held while the issuer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lease {
    /// It is, and the lease is to be prolonged meanwhile.
    Held,
    NotHeld,
}

/// What has come of the last step.
#[derive(Clone, Debug)]
pub(super) enum Event<T, E> {
    Loaded(Found<T>),
    Locked(bool),
    /// The issuer has answered. [`Lease::Held`] if the lock is this fetch's without doubt: it has never run out
    /// since it was taken, and no attempt to prolong it has failed.
    Asked(Answer<T, E>, Lease),
    Stored(bool),
    Unlocked,
    Paused,
    /// An operation of the store returned an error, took too long or panicked.
    StoreFailed,
}

/// What lies in the store, as one fetch sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// A token to use.
    Fresh(T),
    /// A token to use if no other can be had.
    Due(T),
    /// No token that is of any use.
    Nothing,
}

/// What the issuer gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer<T, E> {
    /// A token that others can use as well.
    Lasting(T),
    /// A token that has expired by the time that others could use it.
    Spent(T),
    Failed(E),
}

/// The outcome of the fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum End<T, E> {
    Token(T, Origin),
    Failed { error: E, fallback: Option<T> },
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Store,
    Issuer,
}

impl<T: Clone, E> Protocol<T, E> {
    /// Others are waited for until `give_up`, which is counted from the start.
    pub(super) fn start(give_up: Duration) -> (Self, Step<T, E>) {
        let protocol = Self { state: State::Looking, fallback: None, give_up, pauses: 0 };
        (protocol, Step::Load)
    }

    /// As [`start`](Self::start), while the store is left alone.
    pub(super) fn start_alone() -> (Self, Step<T, E>) {
        let (mut protocol, _) = Self::start(Duration::ZERO);
        let step = protocol.ask(Lease::NotHeld);
        (protocol, step)
    }

    /// Whether there is, or may be, a token to use if the issuer gives none.
    pub(super) fn has_fallback(&self) -> bool {
        self.fallback.is_some() || matches!(self.state, State::Overtaking)
    }

    /// What to do after this. `elapsed` is counted from the start, and `draw` is drawn from 0 to 1.
    ///
    /// An event that is no outcome of the last step counts as a store that failed.
    pub(super) fn next(&mut self, event: Event<T, E>, elapsed: Duration, draw: f64) -> Step<T, E> {
        if let Event::Loaded(Found::Due(token)) = &event {
            self.fallback = Some(token.clone());
        }
        match (mem::replace(&mut self.state, State::Ended), event) {
            (
                State::Looking | State::LookingLast(_) | State::Yielding(_),
                Event::Loaded(Found::Fresh(token)),
            ) => self.end(End::Token(token, Origin::Store)),
            (State::Looking, Event::Loaded(_)) => self.to(State::Locking, Step::Lock),
            (State::Locking, Event::Locked(true)) => self.to(State::LookingAgain, Step::Load),
            (State::Locking, Event::Locked(false)) => self.pause(elapsed, draw),
            (State::Pausing, Event::Paused) => self.to(State::Looking, Step::Load),
            // Somebody was faster, between the first look and the lock.
            (State::LookingAgain, Event::Loaded(Found::Fresh(token))) => {
                self.unlock(End::Token(token, Origin::Store))
            }
            (State::LookingAgain, Event::Loaded(_)) => self.ask(Lease::Held),
            (State::Asking(Lease::Held), Event::Asked(Answer::Lasting(token), Lease::Held)) => {
                self.to(State::Storing(token.clone()), Step::Store(token))
            }
            // The lease was lost, and another may have stored a newer token meanwhile. To store this one could
            // put it over that: an attempt to prolong that comes late takes the lock anew.
            (State::Asking(Lease::Held), Event::Asked(Answer::Lasting(token), Lease::NotHeld))
            | (State::Storing(token), Event::Stored(false)) => {
                self.to(State::Yielding(token), Step::Load)
            }
            (State::Asking(Lease::Held), Event::Asked(answer, _)) => {
                let end = self.outcome(answer);
                self.unlock(end)
            }
            (State::Overtaking, Event::Asked(Answer::Failed(error), _)) => {
                self.to(State::LookingLast(error), Step::Load)
            }
            (State::Asking(Lease::NotHeld) | State::Overtaking, Event::Asked(answer, _)) => {
                self.end_with(answer)
            }
            (State::LookingLast(error), _) => self.end_with(Answer::Failed(error)),
            // Nobody has. If the lock is still this fetch's, another need not wait for its end.
            (State::Yielding(token), Event::Loaded(_)) => {
                self.unlock(End::Token(token, Origin::Issuer))
            }
            (State::Storing(token) | State::Yielding(token), _) => {
                self.end(End::Token(token, Origin::Issuer))
            }
            (State::Unlocking(end), _) => self.end(end),
            // The store failed.
            (
                State::Looking
                | State::Locking
                | State::LookingAgain
                | State::Asking(_)
                | State::Overtaking
                | State::Pausing
                | State::Ended,
                _,
            ) => self.ask(Lease::NotHeld),
        }
    }

    fn to(&mut self, state: State<T, E>, step: Step<T, E>) -> Step<T, E> {
        self.state = state;
        step
    }

    fn ask(&mut self, lease: Lease) -> Step<T, E> {
        self.to(State::Asking(lease), Step::Ask(lease))
    }

    /// Another has the lock.
    fn pause(&mut self, elapsed: Duration, draw: f64) -> Step<T, E> {
        let left = self.give_up.saturating_sub(elapsed);
        if left.is_zero() {
            return self.to(State::Overtaking, Step::Ask(Lease::NotHeld));
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(LONGEST_PAUSE);
        self.pauses += 1;
        let pause = longest.mul_f64(0.5 + draw.clamp(0.0, 1.0) / 2.0);
        self.to(State::Pausing, Step::Pause(pause.min(left)))
    }

    fn outcome(&mut self, answer: Answer<T, E>) -> End<T, E> {
        match answer {
            Answer::Lasting(token) | Answer::Spent(token) => End::Token(token, Origin::Issuer),
            Answer::Failed(error) => End::Failed { error, fallback: self.fallback.take() },
        }
    }

    fn unlock(&mut self, end: End<T, E>) -> Step<T, E> {
        self.to(State::Unlocking(end), Step::Unlock)
    }

    fn end_with(&mut self, answer: Answer<T, E>) -> Step<T, E> {
        let end = self.outcome(answer);
        self.end(end)
    }

    fn end(&mut self, end: End<T, E>) -> Step<T, E> {
        self.to(State::Ended, Step::End(end))
    }
}

impl Origin {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Issuer => "issuer",
        }
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests;
