use std::time::SystemTime;

use super::opened::Opened;

/// What is particular to one token request.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "jwt"),
    expect(dead_code, reason = "only a JWT names an audience or a time")
)]
pub(super) struct Attempt<'a> {
    pub(super) client_id: &'a str,
    /// Whom an assertion is for: the token endpoint, unless it says otherwise.
    pub(super) audience: &'a str,
    pub(super) opened: &'a Opened,
    pub(super) now: SystemTime,
}
