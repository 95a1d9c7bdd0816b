//! `htu`: the URI of a request as a proof names it.

use std::fmt::{self, Write};

use crate::http::Origin;

/// The URI that a request is sent to, without query and fragment (RFC 9449 section 4.2), normalised by
/// syntax and by scheme (RFC 3986 sections 6.2.2 and 6.2.3), so that the two sides mean the same.
pub(crate) struct TargetUri<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) path: &'a str,
}

impl fmt::Display for TargetUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, normal_path(self.path))
    }
}

fn normal_path(path: &str) -> String {
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<String> = path.split('/').map(normal_segment).collect();
    let mut kept = Vec::new();
    for segment in &segments {
        match &**segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    // A dot segment at the end leaves the slash before it.
    if segments.last().is_some_and(|last| last == "." || last == "..") {
        kept.push("");
    }
    ["/", &kept.join("/")].concat()
}

/// With each escape in upper case, or undone if it stands for an unreserved character.
fn normal_segment(segment: &str) -> String {
    let mut pieces = segment.split('%');
    let mut normal = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.map(char::from) {
            Some(c) if c.is_ascii_alphanumeric() || "-._~".contains(c) => normal.push(c),
            Some(c) => write!(normal, "%{:02X}", u32::from(c)).expect("a String takes everything"),
            // No escape, though it begins as one does.
            None => normal.push('%'),
        }
        normal.push_str(&piece[digits.map_or(0, str::len)..]);
    }
    normal
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use proptest::prelude::*;

    use super::*;

    fn htu(uri: &str) -> String {
        let uri: Uri = uri.parse().unwrap();
        TargetUri { origin: &Origin::of(&uri).unwrap(), path: uri.path() }.to_string()
    }

    #[test]
    fn a_target_is_without_query_and_normalised() {
        for (uri, expected) in [
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com?a=b", "https://api.example.com/"),
            ("HTTPS://API.Example.com:443/A", "https://api.example.com/A"),
            ("http://api.example.com:80/", "http://api.example.com/"),
            ("https://api.example.com:80/", "https://api.example.com:80/"),
            ("https://api.example.com:8443/a/?b#c", "https://api.example.com:8443/a/"),
            ("https://user:word@api.example.com/a", "https://api.example.com/a"),
            ("https://[::1]:443/a", "https://[::1]/a"),
            ("https://[::1]:44/a", "https://[::1]:44/a"),
            // RFC 3986 section 6.2.2.
            ("https://a/b/c/%7Bfoo%7d", "https://a/b/c/%7Bfoo%7D"),
            ("https://a/%7efoo/%2e%2E/b", "https://a/b"),
            ("https://a/b/c/./../../g", "https://a/g"),
            ("https://a/./b/../b/%63/%7bfoo%7d", "https://a/b/c/%7Bfoo%7D"),
            ("https://a/b/..", "https://a/"),
            ("https://a/b/.", "https://a/b/"),
            ("https://a/../../b", "https://a/b"),
            ("https://a//b/", "https://a//b/"),
            ("https://a/%2f%zz%+1%", "https://a/%2F%zz%+1%"),
        ] {
            assert_eq!(htu(uri), expected, "{uri}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_normal_stays_as_it_is(
            path in "(/([a-z.]|%[0-9a-fA-F]{2}){0,6}){0,6}",
            query in "(\\?[a-z/.]{0,5})?",
        ) {
            let uri = format!("https://api.example.com{path}{query}");
            prop_assume!(uri.parse::<Uri>().is_ok());
            let normal = htu(&uri);
            prop_assert!(!normal.contains('?'));
            prop_assert_eq!(htu(&normal), normal);
        }
    }
}
