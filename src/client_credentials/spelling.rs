use std::ops::Range;

/// A text read in one of the ways that a secret may be spelt in it. Each byte knows where it
/// starts in the text, and so does the end.
pub(super) struct Spelling {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Spelling {
    pub(super) fn plain(text: &str) -> Self {
        Self { bytes: text.into(), starts: (0..=text.len()).collect() }
    }

    pub(super) fn percent(text: &str) -> Self {
        let text = text.as_bytes();
        let (mut bytes, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(byte) = text.get(at) {
            starts.push(at);
            match text.get(at..at + 3).and_then(percent_encoded) {
                Some(decoded) => {
                    bytes.push(decoded);
                    at += 3;
                }
                None => {
                    bytes.push(*byte);
                    at += 1;
                }
            }
        }
        starts.push(at);
        Self { bytes, starts }
    }

    pub(super) fn form(text: &str) -> Self {
        Self::percent(&text.replace('+', " "))
    }

    pub(super) fn find(&self, secret: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let found = self.bytes.windows(secret.len()).enumerate();
        found
            .filter(move |(_, window)| window.eq_ignore_ascii_case(secret))
            .map(move |(at, _)| self.starts[at]..self.starts[at + secret.len()])
    }
}

fn percent_encoded(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
