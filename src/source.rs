//! Where a refusal came from, as a number: the authority and the first segment of the path.
//!
//! For gRPC that segment is the service. A request that is not kept for a second attempt has it
//! computed while it is still there, on every hit. So this goes through the URI by words.

use http::Uri;

use crate::cache::Source;

/// Odd, and without a pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
const WORD: usize = size_of::<u64>();
const HALF: usize = size_of::<u32>();

/// `client` stands for the authority where the URI has none.
#[inline]
pub(crate) fn of_uri(client: u64, uri: &Uri) -> Source {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    of(client, authority, path)
}

/// The same from the parts of a URI, which are empty if there are none.
#[inline]
pub(crate) fn of(client: u64, authority: &str, path_and_query: &str) -> Source {
    let host = match authority {
        "" => mixed(FACTOR, client),
        _ => without_case(authority.as_bytes()),
    };
    Source(mixed(host, first_segment(path_and_query.as_bytes())))
}

/// What it makes equal beside upper and lower case is no other authority.
#[inline]
fn without_case(authority: &[u8]) -> u64 {
    let mut hash = authority.len() as u64;
    let mut rest = authority;
    while let Some((_, after)) = rest.split_first_chunk::<WORD>() {
        hash = mixed(hash, word(rest) | each(0x20));
        rest = after;
    }
    // The last word overlaps the one before it, if there is one.
    let last = authority.last_chunk::<WORD>().map_or(rest, |last| last);
    mixed(hash, word(last) | each(0x20))
}

#[inline]
fn first_segment(mut path_and_query: &[u8]) -> u64 {
    if let [b'/', rest @ ..] = path_and_query {
        path_and_query = rest;
    }
    let mut hash = 0;
    while !path_and_query.is_empty() {
        let word = word(path_and_query);
        // The bytes of `/` and `?`, and no others, are zero here, and then their highest bit is set.
        let other = (word | each(0x10)) ^ each(b'?');
        let ends = other.wrapping_sub(each(1)) & !other & each(0x80);
        if ends != 0 {
            let before = word & (((ends & ends.wrapping_neg()) >> 7) - 1);
            return if before == 0 { hash } else { mixed(hash, before) };
        }
        hash = mixed(hash, word);
        path_and_query = path_and_query.get(WORD..).unwrap_or_default();
    }
    hash
}

/// The first bytes, and zeros if there are too few.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.first_chunk::<WORD>() {
        return u64::from_le_bytes(*word);
    }
    let half = |half: &[u8; HALF]| u64::from(u32::from_le_bytes(*half));
    let byte = |n: usize| u64::from(bytes[n]) << (8 * n);
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // The halves overlap where there are fewer than eight.
        (Some(first), Some(last)) => half(first) | half(last) << (8 * (bytes.len() - HALF)),
        _ if bytes.is_empty() => 0,
        _ => byte(0) | byte(bytes.len() / 2) | byte(bytes.len() - 1),
    }
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD])
}

#[inline]
fn mixed(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(uri: &str) -> Source {
        of_uri(7, &uri.parse().unwrap())
    }

    #[test]
    fn a_source_is_an_authority_and_the_first_segment_of_the_path() {
        for (one, other) in [
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com?a", "http://API.example.com/?b"),
            ("https://api.example.com/a", "https://api.EXAMPLE.com/a/b/c?d=/"),
            ("https://api.example.com/a?b/c", "https://api.example.com/a"),
            ("/shop.v1.Orders/Get", "/shop.v1.Orders/List"),
            ("*", "*"),
        ] {
            assert_eq!(source(one), source(other), "{one} {other}");
        }
        for (one, other) in [
            ("https://api.example.com/a", "https://api.example.com/b"),
            ("https://api.example.com/a", "https://api.example.com/A"),
            ("https://api.example.com/a", "https://api.example.com:8443/a"),
            ("https://api.exam/ple", "https://api.example/"),
            ("https://api.exam/ple", "https://api.exampl/e"),
            ("/a", "https://a"),
            ("/shop.v1.Orders/Get", "/shop.v1.Invoices/Get"),
            ("/", "/a"),
        ] {
            assert_ne!(source(one), source(other), "{one} {other}");
        }
        assert_ne!(of(7, "", "/a"), of(8, "", "/a"));
        assert_eq!(of(7, "a", "/a"), of(8, "a", "/a"));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn sources_are_equal_if_authority_and_segment_are(
            authorities in ("[a-zA-Z.0-9:@-]{0,40}", "[a-c]{0,3}"),
            segments in ("[ -.0->@-~]{0,40}", "[ab]{0,17}"),
            rest in prop_oneof![Just(String::new()), "[/?][ -~]{0,20}"],
        ) {
            let all = [&authorities.0, &authorities.1].map(|authority| {
                [&segments.0, &segments.1].map(|segment| (authority, segment))
            });
            let all = all.as_flattened();
            for (authority, segment) in all {
                let one = of(7, &authority.to_ascii_uppercase(), &format!("/{segment}"));
                for (other, other_segment) in all {
                    let same = segment == other_segment && authority.eq_ignore_ascii_case(other);
                    let other = of(7, other, &format!("/{other_segment}{rest}"));
                    prop_assert_eq!(one == other, same);
                }
            }
        }

        #[test]
        fn a_word_has_the_first_bytes_and_zeros(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut padded = bytes.clone();
            padded.resize(WORD.max(bytes.len()), 0);
            let first = padded[..WORD].try_into().unwrap();
            prop_assert_eq!(word(&bytes), u64::from_le_bytes(first));
        }
    }
}
