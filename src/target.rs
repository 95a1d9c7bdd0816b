//! Which requests may carry the token.

use std::fmt;

use http::{HeaderName, Request, Uri, header::AUTHORIZATION};

use crate::error::{Kind, TokenError};

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
    #[inline]
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> Admission {
        if !self.overwrite && request.headers().contains_key(&self.header) {
            return Admission::PassThrough;
        }
        if request.extensions().get::<Anonymous>().is_some() {
            return Admission::PassThrough;
        }
        let uri = request.uri();
        let Some(scheme) = uri.scheme_str() else {
            // `CONNECT` names a host and says nothing about who will read the request there.
            return match uri.authority() {
                None => Admission::Attach,
                Some(_) => Admission::PassThrough,
            };
        };
        if let Some(origins) = &self.only_for {
            let Some(target) = Origin::of(uri) else { return Admission::PassThrough };
            if !origins.iter().any(|origin| target.is(origin)) {
                return Admission::PassThrough;
            }
        }
        if is_encrypted(scheme) || self.allow_http || uri.host().is_some_and(is_loopback) {
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

/// A scheme, a host and a port (RFC 6454 section 4). That of a request is borrowed from it.
#[derive(Clone)]
pub(crate) struct Origin<T = String> {
    scheme: T,
    host: T,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn parse(origin: &str) -> Result<Self, TokenError> {
        let malformed = || {
            TokenError::config(
                "an origin is malformed, write `https://host` or `https://host:port`",
            )
        };
        let uri: Uri = origin.parse().map_err(|_| malformed())?;
        let bare = matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
        if !bare || origin.contains('#') {
            return Err(malformed());
        }
        let Origin { scheme, host, port } = Origin::of(&uri).ok_or_else(malformed)?;
        Ok(Self { scheme: scheme.to_owned(), host: host.to_owned(), port })
    }
}

impl<'a> Origin<&'a str> {
    fn of(uri: &'a Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?;
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let default = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Some(443),
            _ if scheme.eq_ignore_ascii_case("http") => Some(80),
            _ => None,
        };
        let port = match authority.port_u16() {
            Some(port) => Some(port),
            // A port that is not a number up to 65535 is not the default one.
            None if authority.as_str().len() > authority.host().len() => return None,
            None => default,
        };
        Some(Self { scheme, host: authority.host(), port })
    }

    fn is(&self, other: &Origin) -> bool {
        self.port == other.port
            && self.scheme.eq_ignore_ascii_case(&other.scheme)
            && self.host.eq_ignore_ascii_case(&other.host)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The name and the addresses of this machine itself (RFC 6761 section 6.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[inline]
fn is_encrypted(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}
