//! Writes the parts of a token request into an HTTP request.

use std::borrow::Cow;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;

use crate::{
    client_credentials::{
        endpoint::EndpointUrl,
        message::{Param, Placement, RequestParts},
    },
    error::TokenError,
    secret::Redactor,
};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const SHORTEST_KEY: usize = 6;

/// The request, and what hides its secrets. Of two headers of one name, the one in `overriding` is
/// sent.
pub(super) fn encode(
    mut parts: RequestParts<'_>,
    url: &EndpointUrl,
    overriding: &HeaderMap,
) -> Result<(Request<Full<Bytes>>, Redactor), TokenError> {
    let placement = parts.placement;
    let body = match placement {
        Placement::Json => json(&parts.body),
        _ => form(&parts.body),
    };
    let mut request = Request::new(Full::from(body));
    *request.uri_mut() = url.uri_with(&form(&parts.query))?;
    *request.headers_mut() = parts.headers;
    let headers = request.headers_mut();
    match placement {
        Placement::Form => drop(headers.insert(CONTENT_TYPE, FORM)),
        Placement::Json => drop(headers.insert(CONTENT_TYPE, JSON)),
        // hyper sends no length for an empty body, and servers answer 411.
        Placement::Query => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"))),
        Placement::LegacyGet => {}
    }
    headers.extend(overriding.clone());
    for value in overriding.values().filter(|value| value.is_sensitive()) {
        parts.redactor.hide(&String::from_utf8_lossy(value.as_bytes()));
    }
    *request.method_mut() = match placement {
        Placement::LegacyGet => Method::GET,
        _ => Method::POST,
    };
    if let Some(query) = request.uri().query() {
        parts.redactor.hide(query);
    }
    hide_query(url.query().unwrap_or_default(), &mut parts.redactor);
    Ok((request, parts.redactor))
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
