//! The user's function that selects a token for each request.

use std::{fmt, sync::Arc};

use http::Request;

use super::request_head::RequestHead;
use crate::{
    cache::TokenCache,
    error::{BoxError, TokenError},
};

#[derive(Clone)]
pub(crate) struct Selector {
    select: Arc<Select>,
}

type Select = dyn Fn(RequestHead<'_>) -> Result<Option<TokenCache>, TokenError> + Send + Sync;

impl Selector {
    pub(crate) fn new<F, E>(select: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Result<Option<TokenCache>, E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let select = move |head: RequestHead<'_>| {
            select(head).map_err(|error| TokenError::selecting(error.into()))
        };
        Self { select: Arc::new(select) }
    }

    /// The cache for this request, or `None` if it is to go without a token.
    #[inline]
    pub(crate) fn select<B>(&self, request: &Request<B>) -> Result<Option<TokenCache>, TokenError> {
        (self.select)(RequestHead::of(request))
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").finish_non_exhaustive()
    }
}
