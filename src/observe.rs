//! Spans, events and metrics. All of it runs the program's own code, so none of it is called under a
//! lock. Without the features it comes to nothing.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::{error::TokenError, fetcher::FetchReason, token::Token};

/// The name of a cache, for telling several apart.
pub(crate) type Name = Arc<str>;

/// One fetch, from its start to its end.
#[derive(Debug)]
pub(crate) struct Fetch {
    #[cfg(feature = "metrics")]
    name: Name,
    #[cfg(feature = "metrics")]
    reason: &'static str,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// A fetch that has ended, so that those who waited for it can be linked to it.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]
impl Fetch {
    pub(crate) fn start(name: &Name, reason: FetchReason) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            name: name.clone(),
            #[cfg(feature = "metrics")]
            reason: reason.name(),
            #[cfg(feature = "tracing")]
            span: tracing::info_span!(
                "token_fetch",
                cache = &**name,
                reason = reason.name(),
                outcome = tracing::field::Empty,
                duration = tracing::field::Empty,
            ),
        }
    }

    /// Runs the fetch inside its span.
    pub(crate) fn run<F: Future>(&self, fetch: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "tracing")]
        let fetch = tracing::Instrument::instrument(fetch, self.span.clone());
        fetch
    }

    pub(crate) fn end(self, outcome: &Result<Token, TokenError>, duration: Duration) -> Ended {
        #[cfg(feature = "tracing")]
        {
            self.span.record("outcome", outcome_name(outcome));
            self.span.record("duration", tracing::field::debug(duration));
            self.span.in_scope(|| match outcome {
                Ok(_) => tracing::debug!("token fetched"),
                Err(error) => tracing::warn!(%error, "no token"),
            });
        }
        #[cfg(feature = "metrics")]
        {
            let labels = [
                ("cache", metrics::SharedString::from(self.name)),
                ("reason", self.reason.into()),
                ("outcome", outcome_name(outcome).into()),
            ];
            metrics::counter!("tower_bearer_fetches_total", &labels).increment(1);
            metrics::histogram!("tower_bearer_fetch_duration_seconds", &labels).record(duration);
        }
        Ended {
            #[cfg(feature = "tracing")]
            span: self.span,
        }
    }
}

impl Ended {
    /// Links the current span, whose work waited, to the fetch.
    pub(crate) fn waited_for(&self) {
        #[cfg(feature = "tracing")]
        tracing::Span::current().follows_from(&self.span);
    }
}

/// A refused token was answered with another one, and the request is sent once more.
pub(crate) fn replaced(name: &Name) {
    #[cfg(feature = "tracing")]
    tracing::info!(cache = &**name, "token rejected, the request is sent once more");
    rejection(name, "replayed");
}

/// A refused token was not answered with another one.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
pub(crate) fn not_replaced(name: &Name, reason: &'static str, why: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        cache = &**name,
        reason,
        "token rejected, the request is not sent once more: {why}"
    );
    rejection(name, reason);
}

/// The second attempt was refused as well.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
pub(crate) fn refused_again(name: &Name) {
    #[cfg(feature = "tracing")]
    tracing::info!(cache = &**name, "new token rejected too, the refusal goes to the caller");
}

/// A caller gets a token that could not be renewed in time.
#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]
pub(crate) fn kept(name: &Name) {
    #[cfg(feature = "tracing")]
    tracing::debug!(cache = &**name, "the token serves on, as no other can be had");
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_bearer_kept_token_uses_total", "cache" => name.clone()).increment(1);
}

/// The token in use is good for this much longer.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
pub(crate) fn expires_in(name: &Name, remaining: Duration) {
    #[cfg(feature = "metrics")]
    metrics::gauge!("tower_bearer_token_expires_in_seconds", "cache" => name.clone())
        .set(remaining.as_secs_f64());
}

/// An operation of a store of shared tokens has ended.
#[cfg(feature = "shared")]
#[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
pub(crate) fn store_operation(name: &Name, operation: &'static str, outcome: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "tower_bearer_store_operations_total",
        "cache" => name.clone(), "operation" => operation, "outcome" => outcome
    )
    .increment(1);
}

/// What lies in a store is no token that can be used.
#[cfg(feature = "shared")]
#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]
pub(crate) fn store_entry_ignored(name: &Name, reason: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(cache = &**name, reason, "what lies in the store is not used");
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "tower_bearer_store_entries_ignored_total", "cache" => name.clone(), "reason" => reason
    )
    .increment(1);
}

/// A token was taken from a store, or got from the issuer.
#[cfg(feature = "shared")]
#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]
pub(crate) fn shared_token(name: &Name, origin: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(cache = &**name, origin, "token shared");
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "tower_bearer_store_tokens_total", "cache" => name.clone(), "origin" => origin
    )
    .increment(1);
}

/// The issuer gave no token, and one from the store is used that was to be replaced.
#[cfg(feature = "shared")]
#[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
pub(crate) fn shared_due(name: &Name, error: &TokenError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(cache = &**name, %error, "no token, the one in the store serves on");
}

/// A store has failed, and is left alone for a few seconds.
#[cfg(feature = "shared")]
#[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
pub(crate) fn store_failed(name: &Name, operation: &'static str, error: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        cache = &**name,
        operation,
        error,
        "the store of shared tokens fails, the issuer is asked instead"
    );
}

#[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
fn rejection(name: &Name, action: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "tower_bearer_rejections_total", "cache" => name.clone(), "action" => action
    )
    .increment(1);
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn outcome_name(outcome: &Result<Token, TokenError>) -> &'static str {
    match outcome {
        Ok(_) => "token",
        Err(error) if error.is_timeout() => "timeout",
        Err(error) if error.is_transient() => "transient",
        Err(error) if error.is_refused() => "refused",
        Err(_) => "invalid",
    }
}
