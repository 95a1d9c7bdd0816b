//! The headers and parameters of a token request before they are written into an HTTP request, and the values that
//! change from one request to the next.

use std::{borrow::Cow, time::SystemTime};

use http::HeaderMap;

use super::placement::Placement;
use crate::secret::{Redactor, ResolvedSecrets};

/// A token request under construction, and the texts of it that must not be shown.
pub(crate) struct RequestParts<'a> {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<Param<'a>>,
    pub(crate) body: Vec<Param<'a>>,
    pub(crate) redactor: Redactor,
    pub(crate) placement: Placement,
}

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

/// A name and its value.
pub(crate) type Param<'a> = (&'a str, Cow<'a, str>);

impl<'a> RequestParts<'a> {
    pub(crate) fn new(placement: Placement) -> Self {
        Self {
            headers: HeaderMap::new(),
            redactor: Redactor::default(),
            placement,
            query: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a parameter in the place that the placement names.
    pub(crate) fn param(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        match self.placement.has_body() {
            true => self.body.push((name, value.into())),
            false => self.query_param(name, value),
        }
    }

    /// Adds a parameter that is hidden wherever it turns up again.
    pub(crate) fn secret_param(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        self.redactor.hide(&value);
        self.param(name, value);
    }

    pub(crate) fn query_param(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        self.query.push((name, value.into()));
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.query.iter().chain(&self.body).map(|(name, _)| *name)
    }
}
