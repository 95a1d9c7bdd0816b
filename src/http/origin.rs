//! Where a request goes.

use std::{fmt, net::IpAddr, sync::Arc};

use http::Uri;

use crate::error::TokenError;

/// A scheme, a host and a port (RFC 6454 section 4). A port that is left out is the scheme's. Neither upper and
/// lower case nor a dot at the end makes another host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Origin {
    scheme: Arc<str>,
    host: Arc<str>,
    port: Option<u16>,
    /// The port is the one that the scheme implies.
    is_default: bool,
}

impl Origin {
    /// An origin that a user wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, TokenError> {
        let malformed = || {
            TokenError::config(
                "an origin is malformed, write `https://host` or `https://host:port`",
            )
        };
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_bare =
            matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if !is_bare || text.contains('#') || authority.contains('@') || authority.ends_with(':') {
            return Err(malformed());
        }
        Self::of(&uri).ok_or_else(malformed)
    }

    /// `None` for a URI without scheme and host, or with a port that is no number up to 65535. The user in it
    /// is not looked at.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let (scheme, host, port) = parts(uri)?;
        let [scheme, host] = [scheme, host].map(|text| Arc::<str>::from(text.to_ascii_lowercase()));
        let is_default = port == default_port(&scheme);
        Some(Self { scheme, host, port, is_default })
    }

    /// Whether a request to this URI goes there. With a user in it, it does not count: that is there to make
    /// a host look like another.
    #[inline]
    pub(crate) fn is_of(&self, uri: &Uri) -> bool {
        // As nearly every request spells it, which takes no parsing.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if *authority == *self.host && uri.scheme_str() == Some(&*self.scheme) && self.is_default {
            return true;
        }
        self.is_of_another_spelling(uri)
    }

    #[cold]
    fn is_of_another_spelling(&self, uri: &Uri) -> bool {
        parts(uri).is_some_and(|(scheme, host, port)| {
            self.port == port
                && self.scheme.eq_ignore_ascii_case(scheme)
                && self.host.eq_ignore_ascii_case(host)
        }) && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    }
}

#[inline]
fn parts(uri: &Uri) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let host = authority.host();
    let host_and_port = authority.as_str().rsplit('@').next()?;
    let port = match host_and_port.get(host.len()..)? {
        "" | ":" => default_port(scheme),
        _ => Some(authority.port_u16()?),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some((scheme, host, port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match () {
        () if ["https", "wss"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) => Some(443),
        () if ["http", "ws"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) => Some(80),
        () => None,
    }
}

/// Without the port that the scheme implies (RFC 6454 section 6.2).
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if !self.is_default => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names and the addresses of this machine itself (RFC 6761 section 6.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost")) {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect(text)
    }

    fn origin(text: &str) -> String {
        Origin::of(&uri(text)).expect(text).to_string()
    }

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, expected) in [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTPS://API.Example.com:443/A?b", "https://api.example.com"),
            ("https://api.example.com./", "https://api.example.com"),
            ("https://api.example.com.:443/", "https://api.example.com"),
            ("https://api.example.com:/", "https://api.example.com"),
            ("https://api.example.com:80/", "https://api.example.com:80"),
            ("http://api.example.com:80/", "http://api.example.com"),
            ("http://api.example.com:443/", "http://api.example.com:443"),
            ("wss://api.example.com:443/", "wss://api.example.com"),
            ("ws://api.example.com:80/", "ws://api.example.com"),
            ("other://api.example.com/", "other://api.example.com"),
            ("other://api.example.com:443/", "other://api.example.com:443"),
            ("https://user:word@api.example.com/a", "https://api.example.com"),
            ("https://443@api.example.com:8443/a", "https://api.example.com:8443"),
            ("https://[::1]:443/a", "https://[::1]"),
            ("https://[::1]:44/a", "https://[::1]:44"),
        ] {
            assert_eq!(origin(text), expected, "{text}");
        }
    }

    #[test]
    fn the_names_and_addresses_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LocalHost.",
            "issuer.localhost",
            "a.b.localhost.",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            ".",
            "localhost.example",
            "mylocalhost",
            "127.0.0.1.example",
            "128.0.0.1",
            "10.0.0.1",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_uri_without_host_or_with_an_unsound_port_has_no_origin() {
        for text in
            ["/a", "*", "api.example.com:443", "https://a:99999/", "https://a:b/", "https://./"]
        {
            let Ok(uri) = text.parse() else { continue };
            assert_eq!(Origin::of(&uri), None, "{text}");
        }
    }

    #[test]
    fn only_an_origin_without_anything_else_can_be_named() {
        for text in ["https://a", "https://a/", "HTTP://A.:8080", "https://[::1]:8443/"] {
            assert_eq!(Origin::parse(text).expect(text), Origin::of(&uri(text)).expect(text));
        }
        for text in [
            "",
            "a",
            "/a",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://b@a",
            "https://a:",
        ] {
            assert!(Origin::parse(text).is_err_and(|error| error.is_config()), "{text}");
        }
    }

    #[test]
    fn a_user_in_a_uri_makes_it_go_nowhere_that_was_named() {
        let named = Origin::parse("https://api.example.com").unwrap();
        assert!(named.is_of(&uri("https://API.example.com.:443/a")));
        for other in [
            "https://user@api.example.com/",
            "https://api.example.com@evil.example/",
            "https://api.example.com.evil/",
            "https://evil.example/https://api.example.com",
            "http://api.example.com:443/",
            "https://api.example.com:444/",
            "/",
        ] {
            assert!(!named.is_of(&uri(other)), "{other}");
        }
    }

    #[test]
    fn a_named_port_is_the_one_that_the_request_has() {
        for (named, same, other) in [
            ("https://a", "https://a/", "https://a:8443/"),
            ("https://a:8443", "https://a:8443/", "https://a/"),
            ("https://a:80", "https://a:80/", "https://a/"),
            ("http://a:443", "http://a:443/", "http://a/"),
            ("https://[::1]:44", "https://[::1]:44/", "https://[::1]/"),
        ] {
            let named = Origin::parse(named).unwrap();
            assert!(named.is_of(&uri(same)), "{same}");
            assert!(!named.is_of(&uri(other)), "{other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_request_goes_to_its_own_origin_and_to_no_other(
            scheme in "(https?|wss?|HTTPS|Http|x)",
            host in "(a|A|4|44|a\\.b|a\\.B)\\.?|\\[::1\\]",
            port in "(:|:80|:443|:0443|:8443)?",
            path in "(/[a-z.@:]{0,5})?",
            other in "(https?|ws)://(a|4|a\\.b)(:443|:80|:8443)?",
        ) {
            let Ok(uri) = format!("{scheme}://{host}{port}{path}").parse::<Uri>() else { return Ok(()) };
            let origin = Origin::of(&uri).unwrap();
            prop_assert!(origin.is_of(&uri));
            prop_assert_eq!(Origin::parse(&origin.to_string()).unwrap(), origin.clone());
            let other = Origin::parse(&other).unwrap();
            prop_assert_eq!(other.is_of(&uri), other == origin);
        }
    }
}
