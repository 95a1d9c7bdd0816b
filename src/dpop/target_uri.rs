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
    let mut segments: Vec<String> = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = rest.next() {
        let segment = normal_segment(segment);
        let is_last = rest.peek().is_none();
        match &*segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => {
                segments.push(segment);
                continue;
            }
        }
        // A dot segment at the end leaves the slash before it.
        if is_last {
            segments.push(String::new());
        }
    }
    ["/", &segments.join("/")].concat()
}

/// With each escape in upper case, or undone if it stands for an unreserved character.
fn normal_segment(segment: &str) -> String {
    let mut normal = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        normal.push_str(before);
        let byte = escape.get(1..3).and_then(|digits| match digits.starts_with('+') {
            true => None,
            false => u8::from_str_radix(digits, 16).ok(),
        });
        rest = match byte {
            Some(byte) => {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        normal.push(char::from(byte));
                    }
                    _ => write!(normal, "%{byte:02X}").expect("a String takes everything"),
                }
                &escape[3..]
            }
            // No escape, though it begins as one does.
            None => {
                normal.push('%');
                &escape[1..]
            }
        };
    }
    normal.push_str(rest);
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
