//! How a body that was kept is kept once more when it is sent: a request with a bound token may be sent three
//! times. Without the feature `dpop` no request is.

use std::marker::PhantomData;

use http_body::Body;

use super::body::{ReplayBody, Second};

/// Watches a body, as the policy watched the one before it.
pub(super) struct WatchWith<B> {
    #[cfg(feature = "dpop")]
    watch: fn(B, usize) -> (ReplayBody<B>, Second<B>),
    #[cfg(feature = "dpop")]
    limit: usize,
    body: PhantomData<fn(B)>,
}

impl<B> Clone for WatchWith<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for WatchWith<B> {}

impl<B> WatchWith<B> {
    pub(super) fn limit(limit: usize) -> Self
    where
        B: Body,
    {
        #[cfg(not(feature = "dpop"))]
        let _ = limit;
        Self {
            #[cfg(feature = "dpop")]
            watch: ReplayBody::new,
            #[cfg(feature = "dpop")]
            limit,
            body: PhantomData,
        }
    }

    /// Gives the body back where it is not watched.
    pub(super) fn watch(self, body: B) -> Result<(ReplayBody<B>, Second<B>), B> {
        #[cfg(feature = "dpop")]
        return Ok((self.watch)(body, self.limit));
        #[cfg(not(feature = "dpop"))]
        Err(body)
    }
}
