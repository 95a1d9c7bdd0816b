//! A time that all processes of a machine agree on.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Counts also while the machine sleeps. Elsewhere than on these systems `CLOCK_MONOTONIC` does.
#[cfg(any(target_os = "android", target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "android", target_os = "linux")))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// What tells one start of the machine from another, where the system has that.
    boot: Option<String>,
    since_boot: Duration,
    wall: Duration,
}

impl Moment {
    pub(super) fn now() -> Self {
        let since_boot = clock_gettime(SINCE_BOOT);
        Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|id| id.trim().to_owned())
                .ok(),
            since_boot: since_boot.try_into().unwrap_or_default(),
            wall: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
        }
    }

    /// How long ago `earlier` was, or rather more than less. `None` if that is unknown: the machine was started
    /// since, or may have been.
    pub(super) fn since(&self, earlier: &Self) -> Option<Duration> {
        if self.boot != earlier.boot {
            return None;
        }
        let since_boot = self.since_boot.checked_sub(earlier.since_boot)?;
        match self.wall.checked_sub(earlier.wall) {
            // The clock since boot stands still while a virtual machine is paused.
            Some(wall) => Some(since_boot.max(wall)),
            None if self.boot.is_some() => Some(since_boot),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn moment(boot: Option<&str>, since_boot: Duration, wall: Duration) -> Moment {
        Moment { boot: boot.map(str::to_owned), since_boot, wall }
    }

    #[test]
    fn a_wall_clock_that_is_set_back_hides_no_time() {
        let then = moment(Some("a"), HOUR, 100 * HOUR);
        assert_eq!(moment(Some("a"), 3 * HOUR, 50 * HOUR).since(&then), Some(2 * HOUR));
    }

    #[test]
    fn a_wall_clock_that_is_set_forward_adds_time() {
        let then = moment(Some("a"), HOUR, 100 * HOUR);
        assert_eq!(moment(Some("a"), 3 * HOUR, 150 * HOUR).since(&then), Some(50 * HOUR));
    }

    #[test]
    fn a_pause_of_the_machine_counts() {
        let then = moment(Some("a"), HOUR, 100 * HOUR);
        assert_eq!(moment(Some("a"), HOUR, 101 * HOUR).since(&then), Some(HOUR));
    }

    #[test]
    fn time_is_unknown_across_a_restart() {
        let then = moment(Some("a"), HOUR, 100 * HOUR);
        assert_eq!(moment(Some("b"), 3 * HOUR, 102 * HOUR).since(&then), None);
    }

    #[test]
    fn time_is_unknown_if_a_clock_went_back_and_restarts_are_unseen() {
        let then = moment(None, 5 * HOUR, 100 * HOUR);
        assert_eq!(moment(None, HOUR, 102 * HOUR).since(&then), None);
        assert_eq!(moment(None, 6 * HOUR, 50 * HOUR).since(&then), None);
        assert_eq!(moment(None, 6 * HOUR, 101 * HOUR).since(&then), Some(HOUR));
    }

    #[test]
    fn now_goes_on() {
        let then = Moment::now();
        assert!(Moment::now().since(&then).is_some_and(|it| it < HOUR));
        assert!(then.boot.is_some() || !cfg!(target_os = "linux"));
    }
}
