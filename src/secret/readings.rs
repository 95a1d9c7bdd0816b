//! What a text says to those who undo its escapes.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};

/// Any padding is cut off before, and what is decoded may begin and end within other text.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

const UNDO: [fn(&str) -> String; 4] = [percent, backslashes, entities, base64];

/// Whether it holds of the text, as it is or with escapes undone, one after the other up to this many times.
pub(super) fn any_reading(text: &str, times: usize, holds: &dyn Fn(&str) -> bool) -> bool {
    holds(text)
        || times > 0
            && UNDO.iter().any(|undo| {
                let reading = undo(text);
                reading != text && any_reading(&reading, times - 1, holds)
            })
}

/// Percent-encoding (RFC 3986 section 2.1).
fn percent(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.get(..2).and_then(hex).and_then(|byte| u8::try_from(byte).ok());
        let length = if byte.is_some() { 2 } else { 0 };
        bytes.push(byte.unwrap_or(b'%'));
        bytes.extend_from_slice(&piece.as_bytes()[length..]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The strings of JSON (RFC 8259 section 7), of Rust's `Debug`, and of other languages.
fn backslashes(text: &str) -> String {
    escapes(text, '\\', |piece| {
        if let Some(digits) = piece.strip_prefix("u{") {
            let (digits, _) = digits.split_once('}')?;
            return Some((hex(digits)?, digits.len() + 3));
        }
        match piece.as_bytes().first()? {
            b'u' => Some((hex(piece.get(1..5)?)?, 5)),
            b'x' => Some((hex(piece.get(1..3)?)?, 3)),
            b'n' => Some(('\n'.into(), 1)),
            b'r' => Some(('\r'.into(), 1)),
            b't' => Some(('\t'.into(), 1)),
            b'0' => Some(('\0'.into(), 1)),
            _ => None,
        }
    })
}

/// The character references of HTML, by number in decimal or hex, or by name.
fn entities(text: &str) -> String {
    escapes(text, '&', |piece| {
        let Some(number) = piece.strip_prefix('#') else {
            let names =
                [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];
            let (name, c) = names.into_iter().find(|(name, _)| piece.starts_with(name))?;
            return Some((c.into(), name.len()));
        };
        let (radix, digits) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (16, digits),
            None => (10, number),
        };
        let after = digits.trim_start_matches(|c: char| c.is_digit(radix));
        let code = u32::from_str_radix(&digits[..digits.len() - after.len()], radix).ok()?;
        let after = after.strip_prefix(';').unwrap_or(after);
        Some((code, piece.len() - after.len()))
    })
}

/// Undoes the escapes that begin with a mark. `read` says for which character or which half of a surrogate
/// pair one stands, and how long it is behind the mark.
fn escapes(text: &str, mark: char, read: impl Fn(&str) -> Option<(u32, usize)>) -> String {
    let mut pieces = text.split(mark);
    let mut units: Vec<u16> = pieces.next().unwrap_or_default().encode_utf16().collect();
    for piece in pieces {
        let (code, length) = read(piece).unwrap_or((mark.into(), 0));
        match char::from_u32(code) {
            Some(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            None => units.extend(u16::try_from(code)),
        }
        units.extend(piece[length..].encode_utf16());
    }
    String::from_utf16_lossy(&units)
}

/// Whatever is base64 or base64url, with or without padding, and begins anywhere in a word. JSON may have a
/// backslash before a slash.
fn base64(text: &str) -> String {
    let text = text.replace(['\r', '\n', '\\'], "").replace('-', "+").replace('_', "/");
    let mut bytes = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/') {
        for start in 0..word.len().min(4) {
            let word = &word[start..];
            let whole = word.len() - usize::from(word.len() % 4 == 1);
            bytes.extend(BASE64.decode(&word[..whole]).unwrap_or_default());
            bytes.push(b' ');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &str) -> Option<u32> {
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}
