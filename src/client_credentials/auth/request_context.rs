//! What changes from one token request to the next.

use std::time::SystemTime;

use crate::secret::ResolvedSecrets;

/// The values of one token request that do not come from its description.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "ring")),
    expect(dead_code, reason = "only a JWT names an audience or a time")
)]
pub(crate) struct RequestContext<'a> {
    pub(crate) client_id: &'a str,
    /// Whom an assertion is for: the token endpoint, unless it says otherwise.
    pub(crate) audience: &'a str,
    pub(crate) secrets: &'a ResolvedSecrets,
    pub(crate) now: SystemTime,
}
