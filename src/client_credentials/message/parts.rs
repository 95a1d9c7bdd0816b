//! The headers and parameters of a token request, before they are written into an HTTP request.

use std::borrow::Cow;

use http::HeaderMap;

use super::placement::Placement;
use crate::secret::Redactor;

/// A token request under construction, and the texts of it that must not be shown.
pub(crate) struct RequestParts<'a> {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<Param<'a>>,
    pub(crate) body: Vec<Param<'a>>,
    pub(crate) redactor: Redactor,
    pub(crate) placement: Placement,
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
