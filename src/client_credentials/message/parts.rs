use std::borrow::Cow;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;

use crate::{
    client_credentials::{endpoint::Endpoint, redaction::Redactor},
    error::TokenError,
};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const SHORTEST_KEY: usize = 6;

/// Where a token request has its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `POST` with a form as its body (RFC 6749 section 4.4.2).
    Form,
    /// `POST` with a JSON object as its body.
    Json,
    /// `POST` with everything in the query and nothing in the body.
    Query,
    /// `GET` with everything in the query.
    Get,
}

impl Shape {
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Form | Self::Json)
    }
}

/// A token request in the making, and what of it must not be shown.
pub(crate) struct Draft<'a> {
    pub(crate) headers: HeaderMap,
    pub(crate) redactor: Redactor,
    shape: Shape,
    query: Vec<Param<'a>>,
    body: Vec<Param<'a>>,
}

type Param<'a> = (&'a str, Cow<'a, str>);

impl<'a> Draft<'a> {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            headers: HeaderMap::new(),
            redactor: Redactor::default(),
            shape,
            query: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds a parameter in the place that the shape has for it.
    pub(crate) fn param(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        match self.shape.has_body() {
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

    /// The request. Of two headers of one name, the one in `overriding` is sent.
    pub(crate) fn finish(
        mut self,
        endpoint: &Endpoint,
        overriding: &HeaderMap,
    ) -> Result<(Request<Full<Bytes>>, Redactor), TokenError> {
        let body = match self.shape {
            Shape::Json => json(&self.body),
            _ => form(&self.body),
        };
        let mut request = Request::new(Full::from(body));
        *request.uri_mut() = endpoint.uri_with(&form(&self.query))?;
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        let method = match self.shape {
            Shape::Form => {
                headers.insert(CONTENT_TYPE, FORM);
                Method::POST
            }
            Shape::Json => {
                headers.insert(CONTENT_TYPE, JSON);
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
        for value in overriding.values().filter(|value| value.is_sensitive()) {
            self.redactor.hide(&String::from_utf8_lossy(value.as_bytes()));
        }
        *request.method_mut() = method;
        if let Some(query) = request.uri().query() {
            self.redactor.hide(query);
        }
        hide_query(endpoint.query().unwrap_or_default(), &mut self.redactor);
        Ok((request, self.redactor))
    }
}

/// A configured query may hold a key. Values too short to be one are part of too many words.
fn hide_query(query: &str, redactor: &mut Redactor) {
    redactor.hide(query);
    let raw = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.into()));
    let decoded = form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value);
    let values = raw.chain(decoded).filter(|value: &Cow<'_, str>| value.len() >= SHORTEST_KEY);
    values.for_each(|value| redactor.hide(&value));
}

fn form(params: &[Param<'_>]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

/// An object of strings, in order. Of a name given more than once it has an array.
fn json(params: &[Param<'_>]) -> String {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut members: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, value) in params {
        match members.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) => values.push(quote(value)),
            None => members.push((name, vec![quote(value)])),
        }
    }
    let member = |(name, values): &(&str, Vec<String>)| match &values[..] {
        [value] => format!("{}:{value}", quote(name)),
        values => format!("{}:[{}]", quote(name), values.join(",")),
    };
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}
