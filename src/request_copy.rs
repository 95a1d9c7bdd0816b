//! A request as it came, without the token.

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::replay::Saved;

/// What the second attempt is made from.
///
/// Every request has one, and few have a second attempt. So the URI and the headers are bytes in one
/// buffer, which costs one allocation, and are parsed only for that attempt.
pub(crate) struct RequestCopy<B> {
    method: Method,
    version: Version,
    extensions: Extensions,
    /// Scheme, authority, path and query, then the headers in order.
    head: Box<[u8]>,
    body: Saved<B>,
}

/// How long a name and a value are, and whether the value is sensitive.
const HEADER: usize = 2 * LENGTH + 1;
const LENGTH: usize = size_of::<u32>();

impl<B> RequestCopy<B> {
    /// `None` if there is no body for it.
    #[inline(always)]
    pub(crate) fn of(request: &Request<B>, body: Option<Saved<B>>) -> Option<Self> {
        let body = body?;
        Some(Self {
            method: request.method().clone(),
            version: request.version(),
            extensions: request.extensions().clone(),
            head: write(request.uri(), request.headers())?,
            body,
        })
    }

    /// Where it goes: the authority, and the path with the query. Empty where the URI has none.
    pub(crate) fn place(&self) -> (&str, &str) {
        let [_, authority, path_and_query] = Reader(&self.head).uri().unwrap_or_default();
        (authority, path_and_query)
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The first attempt was refused. Whether there can be a second.
    pub(crate) fn hold(&self) -> bool {
        self.body.hold()
    }

    /// The second attempt is sent, if there is still a body for it.
    pub(crate) fn into_request(self) -> Option<Request<B>> {
        let (uri, headers) = read(&self.head)?;
        let mut request = Request::new(self.body.into_body()?);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = headers;
        *request.extensions_mut() = self.extensions;
        Some(request)
    }
}

/// `None` for a length that does not fit into 32 bits.
fn write(uri: &Uri, headers: &HeaderMap) -> Option<Box<[u8]>> {
    let uri = [
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", Authority::as_str),
        uri.path_and_query().map_or("", PathAndQuery::as_str),
    ];
    let length = uri.iter().map(|part| LENGTH + part.len()).sum::<usize>()
        + headers
            .iter()
            .map(|(name, value)| HEADER + name.as_str().len() + value.len())
            .sum::<usize>();
    u32::try_from(length).ok()?;
    let mut head = Vec::with_capacity(length);
    for part in uri {
        head.extend_from_slice(&(part.len() as u32).to_le_bytes());
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in headers {
        let name = name.as_str().as_bytes();
        let mut prefix = [u8::from(value.is_sensitive()); HEADER];
        prefix[..LENGTH].copy_from_slice(&(name.len() as u32).to_le_bytes());
        prefix[LENGTH..2 * LENGTH].copy_from_slice(&(value.len() as u32).to_le_bytes());
        head.extend_from_slice(&prefix);
        head.extend_from_slice(name);
        head.extend_from_slice(value.as_bytes());
    }
    Some(head.into_boxed_slice())
}

/// `None` if the `http` crate does not parse what it has given out.
fn read(head: &[u8]) -> Option<(Uri, HeaderMap)> {
    let mut head = Reader(head);
    let [scheme, authority, path_and_query] = head.uri()?;
    let mut uri = uri::Parts::default();
    if !scheme.is_empty() {
        uri.scheme = Some(Scheme::try_from(scheme).ok()?);
    }
    if !authority.is_empty() {
        uri.authority = Some(Authority::try_from(authority).ok()?);
    }
    if !path_and_query.is_empty() {
        uri.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    }
    let mut headers = HeaderMap::new();
    while !head.0.is_empty() {
        let (name, value) = head.header()?;
        headers.try_append(name, value).ok()?;
    }
    Some((Uri::from_parts(uri).ok()?, headers))
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn uri(&mut self) -> Option<[&'a str; 3]> {
        let mut part = || {
            let length = self.length()?;
            std::str::from_utf8(self.take(length)?).ok()
        };
        Some([part()?, part()?, part()?])
    }

    fn header(&mut self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = (self.length()?, self.length()?);
        let sensitive = self.take(1)?;
        let name = HeaderName::from_bytes(self.take(name)?).ok()?;
        let mut value = HeaderValue::from_bytes(self.take(value)?).ok()?;
        value.set_sensitive(sensitive == [1]);
        Some((name, value))
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.take(LENGTH)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod properties;
