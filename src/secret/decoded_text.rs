//! A text after one way of decoding, and the search for a secret in it.

use std::ops::Range;

/// A decoded text. For each byte, and for the end, it has the position in the original text.
pub(super) struct DecodedText {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl DecodedText {
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

    /// As in the strings of JSON and of `Debug`.
    pub(super) fn escaped(text: &str) -> Self {
        let (mut bytes, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (c, length) = unescaped(rest);
            let decoded = c.encode_utf8(&mut [0; 4]).len();
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            starts.extend(std::iter::repeat_n(at, decoded));
            at += length;
        }
        starts.push(at);
        Self { bytes, starts }
    }

    /// Where the secret stands, overlapping or not, in upper or lower case. Takes time linear in
    /// both lengths, whatever others wrote: the search of Knuth, Morris and Pratt.
    pub(super) fn find(&self, secret: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let secret = secret.to_ascii_lowercase();
        let borders = borders(&secret);
        let mut matched = 0;
        self.bytes.iter().enumerate().filter_map(move |(at, byte)| {
            matched = extend(&secret, &borders, matched, byte.to_ascii_lowercase());
            let start = (matched == secret.len()).then(|| at + 1 - secret.len())?;
            Some(self.starts[start]..self.starts[at + 1])
        })
    }
}

/// For each start of the secret, how long the longest shorter one is that it ends with.
fn borders(secret: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; secret.len().min(1)];
    for &byte in secret.iter().skip(1) {
        let border = extend(secret, &borders, borders[borders.len() - 1], byte);
        borders.push(border);
    }
    borders
}

/// How much of the secret is matched after one more byte.
fn extend(secret: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && secret.get(matched) != Some(&byte) {
        matched = borders[matched - 1];
    }
    matched + usize::from(secret.get(matched) == Some(&byte))
}

fn percent_encoded(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The first character, and how many bytes it takes up.
fn unescaped(text: &str) -> (char, usize) {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or_default();
    let Some(escaped) = chars.next().filter(|_| first == '\\') else {
        return (first, first.len_utf8());
    };
    match escaped {
        'u' => code_point(text).unwrap_or((first, 1)),
        'n' => ('\n', 2),
        'r' => ('\r', 2),
        't' => ('\t', 2),
        '0' => ('\0', 2),
        other => (other, 1 + other.len_utf8()),
    }
}

/// `\u{..}`, `\uXXXX` or two of these that are a surrogate pair.
fn code_point(text: &str) -> Option<(char, usize)> {
    if let Some(rest) = text.strip_prefix("\\u{") {
        let digits = rest.get(..rest.bytes().take(7).position(|byte| byte == b'}')?)?;
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        return Some((c, digits.len() + 4));
    }
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let units = [Some(unit(0)?), unit(6)];
    let c = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
    Some((c, 6 * c.len_utf16()))
}
