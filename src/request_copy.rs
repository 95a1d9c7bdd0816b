//! A request as it came, without the token.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version, uri::Authority};

use crate::replay::Saved;

/// What the second attempt is made from.
// `http::request::Parts` can be had only from a request taken apart, and this is made for every
// request, where moving it costs as much as some of what is in it.
pub(crate) struct RequestCopy<B> {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    body: Saved<B>,
}

impl<B> RequestCopy<B> {
    /// `None` if there is no body for it.
    // Inlined so that it is made where it stays.
    #[inline(always)]
    pub(crate) fn of(request: &Request<B>, body: Option<Saved<B>>) -> Option<Self> {
        let body = body?;
        Some(Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
            body,
        })
    }

    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.uri.authority()
    }

    /// The first attempt was refused. Whether there can be a second.
    pub(crate) fn hold(&self) -> bool {
        self.body.hold()
    }

    /// The second attempt is sent, if there is still a body for it.
    pub(crate) fn into_request(self) -> Option<Request<B>> {
        let mut request = Request::new(self.body.into_body()?);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        Some(request)
    }
}
