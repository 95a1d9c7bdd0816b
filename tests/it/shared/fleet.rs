//! What a small fleet costs its issuer, in the simulation that `benches/fleet.rs` runs for a day.

use std::time::Duration;

use super::simulation::{Events, Outcome, Plan, Renewal, Span};

const MINUTE: Duration = Duration::from_secs(60);
const COLD_START: Span = Span::new(Duration::ZERO, MINUTE);

const QUIET: Plan = Plan {
    replicas: 200,
    renewal: Renewal::Shared,
    lifetime: minutes(5),
    between_requests: MINUTE,
    events: Events { rolling_restart: None, revocation: None, store_away: None, issuer_away: None },
    end: minutes(60),
};

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Token requests from then on, for a minute.
fn from(outcome: &Outcome, at: Duration) -> u64 {
    outcome.row(Span::new(at, MINUTE)).token_requests
}

/// In the worst second, after the cold start.
fn peak(outcome: &Outcome) -> u32 {
    outcome.row(Span::new(MINUTE, Duration::MAX)).peak
}

#[test]
fn a_fleet_starts_and_renews_with_one_token_request_each() {
    let outcome = QUIET.run(1);
    assert_eq!(outcome.row(COLD_START).token_requests, 1);
    let all = outcome.row(Span::new(Duration::ZERO, QUIET.end));
    // The first of so many replicas renews a token when 240 s are over, more or less.
    assert!((15..=16).contains(&all.token_requests), "{all:?}");
    assert_eq!((all.peak, all.failed), (1, 0));
}

#[test]
fn a_revocation_costs_a_fleet_one_token_request_and_no_request() {
    let at = minutes(30) - MINUTE / 2;
    let revoked = Plan { events: Events { revocation: Some(at), ..QUIET.events }, ..QUIET };
    let (quiet, outcome) = (QUIET.run(1), revoked.run(1));
    assert_eq!((from(&quiet, at), from(&outcome, at)), (0, 1));
    assert_eq!(outcome.row(Span::new(Duration::ZERO, QUIET.end)).failed, 0);
}

#[test]
fn restarted_replicas_cost_no_more_than_running_ones() {
    let restart = Some(Span::new(minutes(10), minutes(40)));
    let plan = Plan { events: Events { rolling_restart: restart, ..QUIET.events }, ..QUIET };
    let all = plan.run(1).row(Span::new(Duration::ZERO, plan.end));
    assert!((15..=16).contains(&all.token_requests), "{all:?}");
    assert_eq!((all.peak, all.failed), (1, 0));
}

#[test]
fn no_request_fails_without_the_store_and_sharing_resumes() {
    let away = Span::new(minutes(20), minutes(10));
    let plan = Plan { events: Events { store_away: Some(away), ..QUIET.events }, ..QUIET };
    let outcome = plan.run(1);
    let all = Span::new(Duration::ZERO, plan.end);
    assert_eq!(outcome.row(all).failed, 0);
    // Two renewals of each replica, and a third of those that share a token only after that.
    let alone = outcome.row(Span::new(away.from, minutes(15))).token_requests;
    assert!((200..=600).contains(&alone), "{alone} token requests without the store");
    let later = outcome.row(Span::new(minutes(40), minutes(20)));
    assert!((4..=6).contains(&later.token_requests), "{later:?}");
}

#[test]
fn jitter_spreads_the_renewals_of_a_herd_over_20_seconds() {
    let herd = Plan {
        replicas: 4_000,
        renewal: Renewal::Alone,
        between_requests: minutes(10),
        end: minutes(10),
        ..QUIET
    };
    let outcome = herd.run(1);
    assert_eq!(outcome.row(COLD_START).peak, 4_000);
    assert!((1..=200).contains(&peak(&outcome)), "{} in a second", peak(&outcome));

    let hour = Plan { lifetime: minutes(60), end: minutes(60), ..herd }.run(1);
    assert!((1..=200).contains(&peak(&hour)), "{} in a second", peak(&hour));

    let in_step = Plan { renewal: Renewal::InStep, ..herd }.run(1);
    assert_eq!(peak(&in_step), 4_000);
}
