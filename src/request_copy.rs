//! A request as it came, without the token.

use http::{
    Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::replay::Saved;

/// What the second attempt is made from.
///
/// Every request has one, and few have a second attempt. So the URI and the headers are bytes in one
/// buffer, which costs one allocation, and are parsed only for that attempt.
pub(crate) struct RequestCopy<B> {
    /// The version, then method, scheme, authority, path and query, then the headers in order.
    head: Vec<u8>,
    extensions: Extensions,
    body: Saved<B>,
    /// For an attempt after the next one, where `body` cannot be used twice.
    another: Option<Box<Saved<B>>>,
}

/// How long a name and a value are, and whether the value is sensitive.
const HEADER: usize = 2 * LENGTH + 1;
const LENGTH: usize = size_of::<u32>();
/// Room for a name. If names are longer than that on average, the buffer grows once.
const NAME: usize = 32;

impl<B> RequestCopy<B> {
    /// `None` if there is no body for it.
    #[inline(always)]
    pub(crate) fn of(request: &Request<B>, body: Option<Saved<B>>) -> Option<Self> {
        let body = body?;
        Some(Self {
            head: write(request)?,
            extensions: request.extensions().clone(),
            body,
            another: None,
        })
    }

    /// Where it goes: the authority, and the path with the query. Empty where the URI has none.
    pub(crate) fn place(&self) -> (&str, &str) {
        let mut head = Reader(&self.head);
        let _ = head.version();
        let [_, _, authority, path_and_query] = head.target().unwrap_or_default();
        (authority, path_and_query)
    }

    /// The attempt before was rejected. Whether there can be another.
    pub(crate) fn hold(&self) -> bool {
        self.body.hold()
    }

    /// The last attempt is sent, if there is still a body for it.
    pub(crate) fn into_request(self) -> Option<Request<B>> {
        request(&self.head, self.extensions, self.body.into_body()?)
    }

    /// Keeps another body for an attempt after the next one.
    pub(crate) fn keep_another(&mut self, body: Saved<B>) {
        self.another = Some(Box::new(body));
    }

    /// The next attempt is sent, if there is still a body for it. Leaves a copy for one more, if the body can
    /// be kept once more.
    pub(crate) fn again(self) -> Option<(Request<B>, Option<Self>)> {
        let Self { head, extensions, body, another } = self;
        let (body, kept) = body.again()?;
        let request = request(&head, extensions.clone(), body)?;
        let kept = kept.or_else(|| another.map(|another| *another));
        Some((request, kept.map(|body| Self { head, extensions, body, another: None })))
    }
}

fn request<B>(head: &[u8], extensions: Extensions, body: B) -> Option<Request<B>> {
    let mut request = Request::new(body);
    read(head, &mut request)?;
    *request.extensions_mut() = extensions;
    Some(request)
}

/// All versions that there are. A copy has the place of one of them.
const VERSIONS: [Version; 5] =
    [Version::HTTP_11, Version::HTTP_2, Version::HTTP_3, Version::HTTP_10, Version::HTTP_09];

/// `None` for a length that does not fit into 32 bits.
#[inline]
fn write<B>(request: &Request<B>) -> Option<Vec<u8>> {
    let (uri, headers) = (request.uri(), request.headers());
    let version = VERSIONS.iter().position(|known| *known == request.version())?;
    let target = [
        request.method().as_str(),
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", Authority::as_str),
        uri.path_and_query().map_or("", PathAndQuery::as_str),
    ];
    // To look at each name's length as well takes longer than to leave room.
    let mut length = 1 + headers.len() * (HEADER + NAME);
    length += target.iter().map(|part| LENGTH + part.len()).sum::<usize>();
    length += headers.values().map(HeaderValue::len).sum::<usize>();
    let mut head = Vec::with_capacity(length);
    head.push(version as u8);
    for part in target {
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
    u32::try_from(head.len()).is_ok().then_some(head)
}

/// `None` if the `http` crate does not parse what it has given out.
fn read<B>(head: &[u8], request: &mut Request<B>) -> Option<()> {
    let mut head = Reader(head);
    *request.version_mut() = *VERSIONS.get(usize::from(head.version()?))?;
    let [method, scheme, authority, path_and_query] = head.target()?;
    *request.method_mut() = Method::try_from(method).ok()?;
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
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    while !head.0.is_empty() {
        let (name, value) = head.header()?;
        request.headers_mut().try_append(name, value).ok()?;
    }
    Some(())
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn version(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Method, scheme, authority, path and query.
    fn target(&mut self) -> Option<[&'a str; 4]> {
        let mut part = || {
            let length = self.length()?;
            std::str::from_utf8(self.take(length)?).ok()
        };
        Some([part()?, part()?, part()?, part()?])
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
