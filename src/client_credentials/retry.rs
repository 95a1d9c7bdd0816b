//! When a failed token request is worth another attempt.

use std::time::Duration;

use http::StatusCode;

use crate::error::TokenError;

/// Whether the same request may be answered otherwise shortly after.
pub(super) fn is_worth_another_attempt(error: &TokenError) -> bool {
    error.is_transient()
        && error.retry_after().is_none()
        && error.status() != Some(StatusCode::TOO_MANY_REQUESTS)
        && error.code() != Some("slow_down")
}

/// Whether another secret may get another answer, and nobody asked for time.
pub(super) fn is_about_a_secret(error: &TokenError, is_about_grant: bool) -> bool {
    let status = error.status().map(|status| status.as_u16());
    let is_refused_for_secrets = match error.code() {
        Some(code) => is_about_grant || matches!(code, "invalid_client" | "unauthorized_client"),
        None => matches!(status, Some(400 | 401 | 403)),
    };
    error.is_refused()
        && is_refused_for_secrets
        && error.retry_after().is_none()
        && status != Some(429)
}

/// How long to wait before another attempt.
pub(super) fn pause() -> Duration {
    Duration::from_millis(fastrand::u64(100..=300))
}
