//! What holds for any token, any setting and any failure.

use proptest::{option, prelude::*};

use super::*;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

/// From one second to ten years, short ones as often as long ones.
fn lifetime() -> impl Strategy<Value = Duration> {
    prop_oneof![SECOND..60 * SECOND, 60 * SECOND..DAY, DAY..=3653 * DAY]
        .prop_map(Duration::from_nanos)
}

fn setting() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..600u64).prop_map(Duration::from_secs),
        lifetime(),
        Just(Duration::MAX),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (setting(), setting()).prop_map(|(refresh_ahead, expiry_margin)| Policy {
        refresh_ahead,
        expiry_margin,
        default_lifetime: Duration::ZERO,
        fetch_timeout: Duration::ZERO,
    })
}

fn failure() -> impl Strategy<Value = TokenError> {
    (any::<bool>(), option::of(setting())).prop_map(|(transient, asked)| {
        let error = match transient {
            true => TokenError::unavailable("down"),
            false => TokenError::refused("bad secret"),
        };
        match asked {
            Some(asked) => error.retry_in(asked),
            None => error,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_token_is_reused_for_most_of_its_life_and_not_beyond(
        policy in policy(), lifetime in lifetime(), jitter in 0.0..=1.0f64, age in 0.0..2.0f64,
    ) {
        let windows = Windows::new(&policy, lifetime, jitter);
        prop_assert_eq!(windows.expiry, lifetime);
        prop_assert!(windows.due <= windows.spent && windows.spent <= windows.expiry);
        prop_assert!(windows.due >= lifetime - lifetime / 5);
        prop_assert!(windows.spent >= lifetime - lifetime / 10);

        let age = lifetime.mul_f64(age);
        prop_assert_eq!(windows.phase(age) == Phase::Expired, age >= lifetime);
        prop_assert!(windows.phase(age) <= windows.phase(age + Duration::from_nanos(1)));
        prop_assert_ne!(windows.without_ahead().phase(age), Phase::Due);
    }

    #[test]
    fn jitter_of_any_amount_only_delays(
        policy in policy(), lifetime in lifetime(), less in 0.0..=1.0f64, more in 0.0..=1.0f64,
    ) {
        let windows = |jitter| Windows::new(&policy, lifetime, jitter);
        let (less, more) = (less.min(more), less.max(more));
        prop_assert!(windows(0.0).due <= windows(less).due);
        prop_assert!(windows(less).due <= windows(more).due);
        prop_assert!(windows(more).due <= windows(more).spent);
        prop_assert_eq!(windows(less).spent, windows(more).spent);
        let ahead = policy.refresh_ahead.min(lifetime / 5);
        prop_assert!(windows(more).due - windows(0.0).due <= ahead / 2);
    }

    #[test]
    fn back_off_stays_within_its_bounds(
        error in failure(), failures in any::<u32>(), remaining in setting(),
        jitter in 0.0..=1.0f64,
    ) {
        let wait = ahead_backoff(&error, failures, remaining, jitter);
        prop_assert!(wait <= remaining / 2);
        let most = match error.retry_after() {
            Some(_) => AHEAD_RETRY_AFTER_MAX,
            None => AHEAD_BACKOFF_MAX,
        };
        prop_assert!(wait <= most);
    }

    #[test]
    fn a_failure_is_remembered_within_its_bounds(
        error in failure(), failures in any::<u32>(),
        remaining in option::of(setting()),
    ) {
        let most = match (error.retry_after(), error.is_transient()) {
            (Some(_), _) => REMEMBER_RETRY_AFTER_MAX,
            (None, true) => REMEMBER_MIN,
            (None, false) => REMEMBER_REFUSED_MAX,
        };
        let wait = remember(&error, failures, remaining);
        // An issuer that says how long is left alone that long, with a token or without.
        let remaining = remaining.filter(|_| error.retry_after().is_none());
        let remaining = remaining.unwrap_or(Duration::MAX);
        prop_assert!(wait >= REMEMBER_MIN.min(remaining));
        prop_assert!(wait <= most.min(remaining));
    }
}
