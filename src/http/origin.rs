//! Where a request goes: an origin, and whether it is this machine.

use std::fmt;

use http::Uri;

use crate::error::TokenError;

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
    pub(crate) fn of(uri: &'a Uri) -> Option<Self> {
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

    pub(crate) fn is(&self, other: &Origin) -> bool {
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
