//! Where a refusal came from, as a number: the authority and the first segment of the path.
//!
//! For gRPC that segment is the service. A request that is not kept for a second attempt has it
//! computed while it is still there, so it costs each of them a few nanoseconds.

use http::Uri;

use crate::cache::Source;

/// Odd, and without a pattern.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
const WORD: usize = size_of::<u64>();
/// Makes lower-case letters of upper-case ones. What else it makes equal is no other authority.
const LOWER: u64 = 0x2020_2020_2020_2020;

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
    let place = match authority {
        "" => mixed(FACTOR, client),
        _ => words(authority.as_bytes(), LOWER),
    };
    Source(mixed(place, words(first_segment(path_and_query), 0)))
}

#[inline]
fn first_segment(path_and_query: &str) -> &[u8] {
    let path = path_and_query.as_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let end = path.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(path.len());
    &path[..end]
}

/// The last word overlaps the one before it, so that no part of a word is left over.
#[inline]
fn words(bytes: &[u8], case: u64) -> u64 {
    let mut hash = mixed(0, bytes.len() as u64);
    let Some(last) = bytes.last_chunk::<WORD>() else {
        let word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        return mixed(hash, word | case);
    };
    for word in bytes.chunks_exact(WORD) {
        hash = mixed(hash, u64::from_le_bytes(word.try_into().expect("a whole word")) | case);
    }
    mixed(hash, u64::from_le_bytes(*last) | case)
}

#[inline]
fn mixed(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR)
}
