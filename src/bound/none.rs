//! No token is bound.

use std::convert::Infallible;

use http::{HeaderMap, Request, StatusCode, Uri};

use super::Objection;
use crate::{error::TokenError, token::Token};

/// There is no such request.
pub(crate) struct Bound(Infallible);

impl Bound {
    #[inline(always)]
    pub(crate) fn prove<B>(
        _: &Token,
        _: &mut Request<B>,
        _: Option<&Uri>,
    ) -> Result<Option<Self>, TokenError> {
        Ok(None)
    }

    pub(crate) fn token(&self) -> Token {
        match self.0 {}
    }

    pub(crate) fn is_needed_for(_: &Token) -> bool {
        false
    }

    pub(crate) fn objection(&self, _: StatusCode, _: &HeaderMap) -> Option<Objection> {
        match self.0 {}
    }
}
