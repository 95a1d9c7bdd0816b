//! What servers want to see in the next proof.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;

use crate::http::Origin;

/// For how many origins at most. One that has not given a nonce for longest goes first.
const MOST: usize = 64;

/// More than this is no nonce that a server means.
const LONGEST: usize = 1024;

/// A nonce that a server gave (RFC 9449 section 8).
pub(crate) type Nonce = Arc<str>;

/// The newest nonce of each origin (RFC 9449 sections 8.2 and 9). Reading takes no lock.
#[derive(Default)]
pub(crate) struct Nonces {
    /// The newest one is the last.
    newest: ArcSwap<Vec<(Origin, Nonce)>>,
}

impl Nonces {
    pub(crate) fn of(&self, origin: &Origin) -> Option<Nonce> {
        let newest = self.newest.load();
        newest.iter().find(|(of, _)| of == origin).map(|(_, nonce)| nonce.clone())
    }

    /// Remembers the nonce that a response of this origin has, if it has one. Returns it.
    pub(crate) fn note(&self, origin: &Origin, headers: &HeaderMap) -> Option<Nonce> {
        let nonce = nonce_in(headers)?;
        if self.of(origin).is_some_and(|known| *known == *nonce) {
            return Some(nonce.into());
        }
        let nonce: Nonce = nonce.into();
        self.newest.rcu(|newest| {
            let others = newest.iter().filter(|(of, _)| of != origin);
            let mut all: Vec<_> = others.cloned().collect();
            all.push((origin.clone(), nonce.clone()));
            all.drain(..all.len().saturating_sub(MOST));
            all
        });
        Some(nonce)
    }
}

/// `1*NQCHAR`, as RFC 9449 section 8.1 has it. Two different ones are none.
fn nonce_in(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("dpop-nonce").iter();
    let nonce = values.next()?;
    if values.any(|other| other != nonce) || nonce.is_empty() || nonce.len() > LONGEST {
        return None;
    }
    let nonce = nonce.to_str().ok()?;
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    nonce.bytes().all(is_allowed).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("DPoP-Nonce", HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_newest_nonce_of_an_origin_counts() {
        let nonces = Nonces::default();
        assert_eq!(nonces.note(&origin("https://a"), &headers(&["one"])).as_deref(), Some("one"));
        nonces.note(&origin("https://b"), &headers(&["two"]));
        nonces.note(&origin("https://a"), &headers(&["three"]));
        assert_eq!(nonces.of(&origin("https://a")).as_deref(), Some("three"));
        assert_eq!(nonces.of(&origin("https://b")).as_deref(), Some("two"));
        assert_eq!(nonces.of(&origin("https://c")), None);
        assert_eq!(nonces.note(&origin("https://a"), &headers(&[])), None);
        assert_eq!(nonces.of(&origin("https://a")).as_deref(), Some("three"));
    }

    #[test]
    fn a_nonce_that_is_none_is_ignored() {
        let long = "a".repeat(LONGEST + 1);
        for values in [&["a b"][..], &[""], &["a\"b"], &["a\\b"], &["a", "b"], &[&long]] {
            assert_eq!(
                Nonces::default().note(&origin("https://a"), &headers(values)),
                None,
                "{values:?}"
            );
        }
        assert!(Nonces::default().note(&origin("https://a"), &headers(&["a", "a"])).is_some());
    }

    #[test]
    fn nonces_are_remembered_for_64_origins() {
        let nonces = Nonces::default();
        for number in 0..1000 {
            nonces.note(&origin(&format!("https://{number}")), &headers(&["nonce"]));
        }
        assert_eq!(nonces.newest.load().len(), MOST);
        assert_eq!(nonces.of(&origin("https://0")), None);
        assert!(nonces.of(&origin("https://999")).is_some());
    }
}
