//! No token is bound.

use std::{convert::Infallible, marker::PhantomData};

use http::{HeaderMap, Request, StatusCode, Uri};

use super::Objection;
use crate::{
    error::TokenError,
    replay::{Replay, Saved},
    token::Token,
};

/// There is no such request.
pub(crate) struct Bound<B>(Infallible, PhantomData<B>);

impl<B> Bound<B> {
    #[inline(always)]
    pub(crate) fn prove(
        _: &Token,
        _: &mut Request<B>,
        _: Option<&Uri>,
    ) -> Result<Option<Self>, TokenError> {
        Ok(None)
    }

    pub(crate) fn allow(&mut self, _: NonceAttempt<B>, _: &B) {
        match self.0 {}
    }

    pub(crate) fn into_parts(self) -> (Token, NonceAttempt<B>) {
        match self.0 {}
    }

    pub(crate) fn is_needed_for(_: &Token) -> bool {
        false
    }

    pub(crate) fn objection(
        &self,
        _: StatusCode,
        _: &HeaderMap,
        _: impl FnOnce() -> bool,
    ) -> Option<Objection> {
        match self.0 {}
    }
}

/// There is none.
pub(crate) struct NonceAttempt<B>(PhantomData<B>);

impl<B> NonceAttempt<B> {
    #[inline(always)]
    pub(crate) fn of<R: Replay<B>>(_: &R, _: &B) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    pub(crate) fn later<R: Replay<B>>(_: &R) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn without_body(_: bool) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn is_spent(&self) -> bool {
        true
    }

    pub(crate) fn into_body(self) -> Option<Saved<B>> {
        None
    }
}
