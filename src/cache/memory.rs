//! What is remembered of a cache that is given up.

use tokio::time::Instant;

use super::{
    cooldown::Cooldowns,
    state::{Failure, State},
};

/// So that a cache in the place of another does not ask the issuer more often than that one would have.
pub(crate) struct Memory {
    failure: Option<Failure>,
    cooldowns: Cooldowns,
    until: Instant,
}

impl Memory {
    /// `None` where nothing is worth it.
    pub(super) fn of(state: &State, now: Instant) -> Option<Self> {
        let failure = state.failure.as_ref().filter(|failure| now < failure.until());
        let until =
            failure.map(Failure::until).max(state.cooldowns.until()).filter(|&t| now < t)?;
        Some(Self { failure: failure.cloned(), cooldowns: state.cooldowns.clone(), until })
    }

    pub(super) fn recall(self, state: &mut State, now: Instant) {
        let is_unused = state.current.is_none() && state.flight.is_none() && state.launched == 0;
        if is_unused && now < self.until {
            state.failure = self.failure;
            state.cooldowns = self.cooldowns;
        }
    }
}
