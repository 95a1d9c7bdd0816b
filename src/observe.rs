//! Spans, events and metrics. All of it runs the program's own code, so none of it is called under a
//! lock. Without the features it comes to nothing.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::{error::TokenError, fetcher::FetchReason, token::Token};

/// The name of a cache, for telling several apart.
pub(crate) type Name = Arc<str>;

/// Something that a program may want to know of.
#[cfg_attr(
    not(all(feature = "tracing", feature = "metrics", feature = "shared")),
    allow(dead_code, reason = "each feature has an interest in some of it")
)]
pub(crate) enum CacheEvent<'a> {
    FetchEnded {
        reason: &'static str,
        outcome: &'static str,
        duration: Duration,
    },
    /// A rejected token was replaced, and the request is sent once more.
    Replaced,
    NotReplaced {
        reason: &'static str,
        why: &'a dyn fmt::Display,
    },
    /// The second attempt was rejected as well.
    RejectedAgain,
    /// A caller gets a token that could not be renewed in time.
    Kept,
    /// The token in use is good for this much longer.
    ExpiresIn(Duration),
    StoreOperation {
        operation: &'static str,
        outcome: &'static str,
    },
    /// What lies in a store is no token that can be used.
    StoreEntryIgnored {
        reason: &'static str,
    },
    /// A token was taken from a store, or got from the issuer.
    TokenShared {
        origin: &'static str,
    },
    /// The issuer gave no token, and one from the store is used that was to be replaced.
    SharedKept {
        error: &'a TokenError,
    },
    /// The store is left alone for a few seconds.
    StoreFailed {
        operation: &'static str,
        error: &'a str,
    },
}

#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]
pub(crate) fn event(cache: &Name, event: CacheEvent<'_>) {
    #[cfg(feature = "tracing")]
    trace(cache, &event);
    #[cfg(feature = "metrics")]
    count(cache, event);
}

#[cfg(feature = "tracing")]
fn trace(cache: &str, event: &CacheEvent<'_>) {
    use tracing::{debug, info, warn};

    match *event {
        CacheEvent::Replaced => info!(cache, "token rejected, the request is sent once more"),
        CacheEvent::NotReplaced { reason, why } => {
            info!(cache, reason, "token rejected, the request is not sent once more: {why}");
        }
        CacheEvent::RejectedAgain => {
            info!(cache, "new token rejected too, the refusal goes to the caller");
        }
        CacheEvent::Kept => debug!(cache, "the token serves on, as no other can be had"),
        CacheEvent::StoreEntryIgnored { reason } => {
            debug!(cache, reason, "what lies in the store is not used");
        }
        CacheEvent::TokenShared { origin } => debug!(cache, origin, "token shared"),
        CacheEvent::SharedKept { error } => {
            warn!(cache, %error, "no token, the one in the store serves on");
        }
        CacheEvent::StoreFailed { operation, error } => warn!(
            cache,
            operation, error, "the store of shared tokens fails, the issuer is asked instead"
        ),
        // The first is in the span of the fetch.
        CacheEvent::FetchEnded { .. }
        | CacheEvent::ExpiresIn(_)
        | CacheEvent::StoreOperation { .. } => {}
    }
}

#[cfg(feature = "metrics")]
fn count(cache: &Name, event: CacheEvent<'_>) {
    use metrics::{Label, counter, gauge, histogram};

    let label = |name, value: &'static str| Label::from_static_parts(name, value);
    let cache = Label::new("cache", cache.clone());
    let counted = match event {
        CacheEvent::FetchEnded { reason, outcome, duration } => {
            let labels = vec![cache, label("reason", reason), label("outcome", outcome)];
            histogram!("tower_bearer_fetch_duration_seconds", labels.clone()).record(duration);
            counter!("tower_bearer_fetches_total", labels)
        }
        CacheEvent::Replaced => {
            counter!("tower_bearer_rejections_total", vec![cache, label("action", "replayed")])
        }
        CacheEvent::NotReplaced { reason, .. } => {
            counter!("tower_bearer_rejections_total", vec![cache, label("action", reason)])
        }
        CacheEvent::Kept => counter!("tower_bearer_kept_token_uses_total", vec![cache]),
        CacheEvent::ExpiresIn(remaining) => {
            let gauge = gauge!("tower_bearer_token_expires_in_seconds", vec![cache]);
            return gauge.set(remaining.as_secs_f64());
        }
        CacheEvent::StoreOperation { operation, outcome } => {
            let labels = vec![cache, label("operation", operation), label("outcome", outcome)];
            counter!("tower_bearer_store_operations_total", labels)
        }
        CacheEvent::StoreEntryIgnored { reason } => {
            let labels = vec![cache, label("reason", reason)];
            counter!("tower_bearer_store_entries_ignored_total", labels)
        }
        CacheEvent::TokenShared { origin } => {
            counter!("tower_bearer_store_tokens_total", vec![cache, label("origin", origin)])
        }
        CacheEvent::RejectedAgain
        | CacheEvent::SharedKept { .. }
        | CacheEvent::StoreFailed { .. } => return,
    };
    counted.increment(1);
}

/// One fetch, from its start on. Those who waited for it can be linked to it.
#[derive(Clone, Debug)]
pub(crate) struct ObservedFetch {
    name: Name,
    reason: &'static str,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl ObservedFetch {
    pub(crate) fn start(name: Name, reason: FetchReason) -> Self {
        let reason = reason.name();
        #[cfg(feature = "tracing")]
        let span = tracing::info_span!(
            "token_fetch",
            cache = &*name,
            reason,
            outcome = tracing::field::Empty,
            duration = tracing::field::Empty,
        );
        Self {
            name,
            reason,
            #[cfg(feature = "tracing")]
            span,
        }
    }

    /// Runs the fetch inside its span.
    pub(crate) fn run<F: Future>(&self, fetch: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "tracing")]
        let fetch = tracing::Instrument::instrument(fetch, self.span.clone());
        fetch
    }

    pub(crate) fn end(&self, result: &Result<Token, TokenError>, duration: Duration) {
        let outcome = match result {
            Ok(_) => "token",
            Err(error) if error.is_timeout() => "timeout",
            Err(error) if error.is_transient() => "transient",
            Err(error) if error.is_refused() => "refused",
            Err(_) => "invalid",
        };
        #[cfg(feature = "tracing")]
        {
            self.span.record("outcome", outcome);
            self.span.record("duration", tracing::field::debug(duration));
            self.span.in_scope(|| match result {
                Ok(_) => tracing::debug!("token fetched"),
                Err(error) => tracing::warn!(%error, "no token"),
            });
        }
        event(&self.name, CacheEvent::FetchEnded { reason: self.reason, outcome, duration });
    }

    /// Links the current span, whose work waited, to the fetch.
    pub(crate) fn waited_for(&self) {
        #[cfg(feature = "tracing")]
        tracing::Span::current().follows_from(&self.span);
    }
}
