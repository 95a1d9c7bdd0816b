//! The URL of a token endpoint (RFC 6749 section 3.2).

use std::fmt;

use http::Uri;

use crate::{
    error::TokenError,
    http::{Origin, is_loopback},
};

/// The URL of a token endpoint (RFC 6749 section 3.2). Its query is shown nowhere.
#[derive(Clone)]
pub(crate) struct EndpointUrl {
    uri: Uri,
}

impl EndpointUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, TokenError> {
        // `http::Uri` drops a fragment without a word.
        if url.contains('#') {
            return Err(TokenError::config(
                "the token endpoint has a fragment, leave out the `#` and what follows it",
            ));
        }
        let malformed = || {
            TokenError::config(
                "the token endpoint is not a URL, write it as `https://host/path` \
                 with other characters percent-encoded",
            )
        };
        if !url.is_ascii() {
            return Err(malformed());
        }
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(malformed());
        };
        if authority.as_str().contains('@') {
            return Err(TokenError::config(
                "the token endpoint has a user or a password in its URL, pass them as `ClientAuth`",
            ));
        }
        if scheme != "https" && scheme != "http" {
            return Err(TokenError::config(
                "the token endpoint's scheme is neither https nor http, write `https://host/path`",
            ));
        }
        Origin::of(&uri).ok_or_else(malformed)?;
        Ok(Self { uri })
    }

    /// No one on the network can read what is sent there, as far as the URL tells.
    pub(crate) fn is_confidential(&self) -> bool {
        self.is_https() || self.uri.host().is_some_and(is_loopback)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    #[cfg(feature = "shared")]
    pub(crate) fn origin(&self) -> Origin {
        Origin::of(&self.uri).expect("a URL without an origin is not parsed")
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The URL with form-encoded parameters after those that it has, which stay as they are.
    pub(crate) fn uri_with(&self, params: &str) -> Result<Uri, TokenError> {
        if params.is_empty() {
            return Ok(self.uri.clone());
        }
        let query = match self.uri.query() {
            None | Some("") => params.to_owned(),
            Some(query) if query.ends_with('&') => [query, params].concat(),
            Some(query) => [query, "&", params].concat(),
        };
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = [self.uri.path(), "?", &query].concat().parse().ok();
        Uri::from_parts(parts).map_err(|_| {
            TokenError::config("the token request's URL is too long, send less in its query")
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}", self.path())
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_scheme_host_or_sound_port_is_refused() {
        for url in [
            "",
            " ",
            "/token",
            "issuer/token",
            "issuer.example",
            "https://",
            "https:///token",
            "https://:443/token",
            "https://issuer:99999/token",
            "https://issuer:port/token",
            "ftp://issuer/token",
            "https://issuer/to ken",
            " https://issuer/token",
            "https://issuer/tökèn",
            "https://user@issuer/token",
            "https://user:pw@issuer/token",
            "https://issuer/token#part",
            "https://issuer/token?a=b#",
        ] {
            let error = EndpointUrl::parse(url).expect_err(url);
            assert!(error.is_config(), "{url}: {error}");
        }
    }

    #[test]
    fn only_https_and_loopback_are_confidential() {
        for (url, confidential) in [
            ("https://issuer.example/token", true),
            ("HTTPS://issuer.example/token", true),
            ("http://localhost:8080/token", true),
            ("http://LOCALHOST/token", true),
            ("http://127.8.0.1/token", true),
            ("http://[::1]:80/token", true),
            ("http://issuer.example/token", false),
            ("http://127.0.0.1.example/token", false),
            ("http://localhost.example/token", false),
            ("http://10.0.0.1/token", false),
        ] {
            let endpoint = EndpointUrl::parse(url).expect(url);
            assert_eq!(endpoint.is_confidential(), confidential, "{url}");
        }
    }

    #[test]
    fn the_configured_query_stays_byte_for_byte() {
        for (url, expected) in [
            ("https://a", "https://a/?x=1"),
            ("https://a?", "https://a/?x=1"),
            ("https://a/t?b=c%20d+e'~", "https://a/t?b=c%20d+e'~&x=1"),
            ("https://a/t?b&", "https://a/t?b&x=1"),
        ] {
            let endpoint = EndpointUrl::parse(url).expect(url);
            assert_eq!(endpoint.uri_with("x=1").expect(url).to_string(), expected);
        }
    }

    #[test]
    fn the_query_is_not_shown() {
        let endpoint = EndpointUrl::parse("https://a.example:8443/t?sig=s3cr3t").expect("a URL");
        assert_eq!(format!("{endpoint} {endpoint:?}").matches("s3cr3t").count(), 0);
        assert_eq!(endpoint.to_string(), "https://a.example:8443/t");
    }

    #[test]
    fn parameters_beyond_what_a_url_holds_are_an_error() {
        let endpoint = EndpointUrl::parse("https://a.example/t?kept=1").expect("a URL");
        let error = endpoint.uri_with(&"x".repeat(70_000)).expect_err("too long");
        assert!(error.is_config());
    }
}
