//! Which requests may carry the token.

use http::{HeaderName, Request, header::AUTHORIZATION, uri::Scheme};

use crate::{
    error::{Kind, TokenError},
    http::{Origin, is_loopback},
};

/// Opts one request out: it is sent as it is, without a token.
///
/// ```
/// use http::Request;
/// use tower_bearer::Anonymous;
///
/// let request = Request::get("https://api.example.com/health").extension(Anonymous).body(());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anonymous;

#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where the token goes.
    pub(crate) header: HeaderName,
    pub(crate) only_for: Option<Vec<Origin>>,
    pub(crate) allow_http: bool,
    pub(crate) overwrite: bool,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Admission {
    Attach,
    PassThrough,
    Refuse(TokenError),
}

impl Default for Target {
    fn default() -> Self {
        Self { header: AUTHORIZATION, only_for: None, allow_http: false, overwrite: false }
    }
}

impl Target {
    #[inline(always)]
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> Admission {
        if !self.overwrite && request.headers().contains_key(&self.header) {
            return Admission::PassThrough;
        }
        if request.extensions().get::<Anonymous>().is_some() {
            return Admission::PassThrough;
        }
        let uri = request.uri();
        let Some(scheme) = uri.scheme() else {
            // `CONNECT` names a host and says nothing about who will read the request there.
            return match uri.authority() {
                None => Admission::Attach,
                Some(_) => Admission::PassThrough,
            };
        };
        if let Some(origins) = &self.only_for {
            if !origins.iter().any(|origin| origin.is_of(uri)) {
                return Admission::PassThrough;
            }
        }
        if *scheme == Scheme::HTTPS
            || scheme.as_str().eq_ignore_ascii_case("wss")
            || self.allow_http
            || uri.host().is_some_and(is_loopback)
        {
            return Admission::Attach;
        }
        Admission::Refuse(insecure())
    }
}

#[cold]
fn insecure() -> TokenError {
    let message =
        "a token is not sent over plain http, use https or call `allow_http` on the layer";
    TokenError::new(Kind::Insecure, message)
}
