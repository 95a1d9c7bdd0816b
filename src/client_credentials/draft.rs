use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;

use super::endpoint::Endpoint;
use crate::error::TokenError;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Where a token request has its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `POST` with a form as its body (RFC 6749 section 4.4.2).
    Form,
    /// `POST` with everything in the query and nothing in the body.
    Query,
    /// `GET` with everything in the query.
    Get,
}

/// A token request in the making.
pub(super) struct Draft<'a> {
    pub(super) headers: HeaderMap,
    shape: Shape,
    query: Vec<(&'a str, &'a str)>,
    body: Vec<(&'a str, &'a str)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shape: Shape) -> Self {
        Self { headers: HeaderMap::new(), shape, query: Vec::new(), body: Vec::new() }
    }

    /// Adds a parameter in the place that the shape has for it.
    pub(super) fn param(&mut self, name: &'a str, value: &'a str) {
        match self.shape {
            Shape::Form => self.body.push((name, value)),
            Shape::Query | Shape::Get => self.query_param(name, value),
        }
    }

    pub(super) fn query_param(&mut self, name: &'a str, value: &'a str) {
        self.query.push((name, value));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.query.iter().chain(&self.body).map(|(name, _)| *name)
    }

    /// The request. Of two headers of one name, the one in `overriding` is sent.
    pub(super) fn finish(
        self,
        endpoint: &Endpoint,
        overriding: &HeaderMap,
    ) -> Result<Request<Full<Bytes>>, TokenError> {
        let mut request = Request::new(Full::from(encode(&self.body)));
        *request.uri_mut() = endpoint.uri_with(&encode(&self.query))?;
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        let method = match self.shape {
            Shape::Form => {
                headers.insert(CONTENT_TYPE, FORM);
                Method::POST
            }
            Shape::Query => {
                // hyper sends no length for an empty body, and servers answer 411.
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                Method::POST
            }
            Shape::Get => Method::GET,
        };
        headers.extend(overriding.clone());
        *request.method_mut() = method;
        Ok(request)
    }
}

fn encode(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}
