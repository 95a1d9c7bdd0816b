//! Where a rejection came from, as a number: the authority and the first segment of the path. For gRPC that
//! segment is the service.

use http::Uri;

use crate::cache::Source;

/// Those of FNV-1a.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// Makes upper and lower case equal, in eight bytes at once. What else it makes equal is in no authority.
const LOWER_CASE: u64 = u64::from_le_bytes([0x20; 8]);

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
    let mut hash = BASIS ^ authority.len() as u64;
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(PRIME);
    if authority.is_empty() {
        mix(client);
    }
    let mut words = authority.as_bytes().chunks_exact(size_of::<u64>());
    for word in words.by_ref().filter_map(|word| word.first_chunk()) {
        mix(u64::from_le_bytes(*word) | LOWER_CASE);
    }
    words.remainder().iter().for_each(|byte| mix(byte.to_ascii_lowercase().into()));
    let path = path_and_query.strip_prefix('/').unwrap_or(path_and_query);
    path.bytes().take_while(|byte| !matches!(byte, b'/' | b'?')).for_each(|byte| mix(byte.into()));
    Source(hash)
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
    }
}
