//! Takes secrets out of texts that others wrote: the issuer, or the HTTP client.

use std::{borrow::Cow, error::Error, fmt, iter, ops::Range};

use secrecy::{ExposeSecret, SecretString};

use super::decoded_text::DecodedText;
use crate::error::BoxError;

pub(crate) const REDACTED: &str = "[redacted]";

/// The most of a foreign text that is kept, in characters.
const LONGEST: usize = 256;

/// The secrets to take out.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    hidden: Vec<SecretString>,
}

impl Redactor {
    /// Hides a text wherever it stands, in upper or lower case: as it is, escaped as in JSON or
    /// by `Debug`, or percent-encoded by any of the customary rules.
    pub(crate) fn hide(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.hidden.push(secret.into());
    }

    /// The text without what is hidden, and without the query of any URL.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut covered = self.found(text);
        covered.extend(queries(text));
        if covered.is_empty() {
            return Cow::Borrowed(text);
        }
        covered.sort_by_key(|range| range.start);
        let (mut kept, mut end) = (String::new(), 0);
        for range in covered {
            if range.start >= end {
                kept.push_str(text.get(end..range.start).unwrap_or_default());
                kept.push_str(REDACTED);
            }
            end = end.max(range.end);
        }
        kept.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(kept)
    }

    /// Whether something that is hidden stands in the text.
    pub(crate) fn finds(&self, text: &str) -> bool {
        !self.found(text).is_empty()
    }

    /// The text redacted, on one line, and cut to at most 256 characters.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        let escaped: String =
            self.redact(text).chars().flat_map(escape).take(LONGEST + 1).collect();
        match escaped.char_indices().nth(LONGEST) {
            None => escaped,
            Some(_) => escaped.chars().take(LONGEST - 1).chain(['…']).collect(),
        }
    }

    /// The error itself if nothing in it or in its causes is hidden, else what is left of their
    /// texts.
    pub(crate) fn redact_error(&self, error: BoxError) -> BoxError {
        let is_clean = |text: String| matches!(self.redact(&text), Cow::Borrowed(_));
        if causes(&*error)
            .all(|error| is_clean(error.to_string()) && is_clean(format!("{error:?}")))
        {
            return error;
        }
        Box::new(self.redacted(&*error))
    }

    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for read in
            [DecodedText::plain, DecodedText::escaped, DecodedText::percent, DecodedText::form]
        {
            let decoded = read(text);
            for secret in &self.hidden {
                found.extend(decoded.find(secret.expose_secret().as_bytes()));
            }
        }
        found
    }

    fn redacted(&self, error: &(dyn Error + 'static)) -> RedactedError {
        RedactedError {
            text: self.redact(&error.to_string()).into_owned(),
            source: error.source().map(|source| Box::new(self.redacted(source))),
        }
    }
}

/// The error and what it stems from.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| (**error).source())
}

/// What is left of an error that showed a secret.
#[derive(Debug)]
struct RedactedError {
    text: String,
    source: Option<Box<RedactedError>>,
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RedactedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Where the queries of URLs stand in a text, up to what cannot be part of a URL.
fn queries(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
    let mut next = 0;
    text.split_inclusive(is_end).filter_map(move |word| {
        let start = next;
        next += word.len();
        let word = word.trim_end_matches(is_end);
        let scheme_end = word.find("://")?;
        let query = scheme_end + word[scheme_end..].find('?')? + 1;
        (query < word.len()).then_some(start + query..start + word.len())
    })
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let plain = matches!(c, '"' | '\'' | '\\').then_some(c);
    let escaped = plain.is_none().then(|| c.escape_debug());
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.hide(secret);
        redactor
    }

    #[test]
    fn a_secret_is_found_however_it_is_encoded() {
        let redactor = redactor("p@ss wörd+\"1*~");
        for text in [
            "p@ss wörd+\"1*~",
            "p@ss wörd+\\\"1*~",
            r#"p@ss w\u00f6rd\u002B\"1\u{2a}~"#,
            "p%40ss+w%C3%B6rd%2B%221*%7E",
            "p%40ss%20w%c3%b6rd%2b%221%2A~",
            "p@ss%20w%C3%B6rd%2B\"1*~",
        ] {
            assert_eq!(redactor.redact(&format!("<{text}>")), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn what_overlaps_is_hidden_as_one() {
        let mut redactor = redactor("abcab");
        redactor.hide("cabd");
        redactor.hide("b");
        assert_eq!(redactor.redact("xabcabcabdxabcabx"), "x[redacted]x[redacted]x");
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        assert_eq!(redactor("").redact("a text"), "a text");
    }

    #[test]
    fn a_url_loses_its_query_and_nothing_else() {
        let text = "error for url (https://a.example/t?id=1&k=v) \"http://b/?x\" http://c/? d?e";
        assert_eq!(
            Redactor::default().redact(text),
            "error for url (https://a.example/t?[redacted] \"http://b/?[redacted]\" http://c/? d?e"
        );
    }

    #[test]
    fn a_text_made_to_be_slow_is_not() {
        let redactor = redactor("s3cr3t");
        for hostile in ["://", "%", "://?", "s3cr3", "a?"] {
            let excerpt = redactor.excerpt(&hostile.repeat(1 << 18));
            assert!(excerpt.chars().count() <= LONGEST);
        }
    }

    #[test]
    fn an_excerpt_is_one_short_printable_line() {
        let excerpt = redactor("s3cr3t").excerpt("\u{1b}[31m\"s3cr3t\"\r\n\u{202e}it's a\\b é");
        assert_eq!(excerpt, "\\u{1b}[31m\"[redacted]\"\\r\\n\\u{202e}it's a\\b é");
        assert_eq!(Redactor::default().excerpt(&"é".repeat(256)), "é".repeat(256));
        let cut = Redactor::default().excerpt(&"é".repeat(257));
        assert_eq!(cut, "é".repeat(255) + "…");
    }

    #[test]
    fn a_secret_across_the_cut_is_hidden_whole() {
        let text = "x".repeat(250) + "s3cr3t-s3cr3t";
        assert!(!redactor("s3cr3t-s3cr3t").excerpt(&text).contains("s3c"));
    }

    #[test]
    fn an_error_keeps_its_type_unless_it_shows_a_secret() {
        let redactor = redactor("s3cr3t");
        let kept = redactor.redact_error(Shows::boxed("refused", "Refused", None));
        assert!(kept.is::<Shows>());
        for showing in [
            Shows::boxed("no route for s3cr3t", "NoRoute", None),
            Shows::boxed("no route for it", "NoRoute(s3cr3t)", None),
            Shows::boxed("failed", "Failed", Some(Shows::boxed("no route for s3cr3t", "", None))),
        ] {
            let hidden = redactor.redact_error(showing);
            let texts: String = causes(&*hidden).map(|e| format!("{e} {e:?}")).collect();
            assert!(texts.contains("no route for") && !texts.contains("s3cr3t"), "{texts}");
        }
    }

    struct Shows {
        display: &'static str,
        debug: &'static str,
        source: Option<BoxError>,
    }

    impl Shows {
        fn boxed(display: &'static str, debug: &'static str, source: Option<BoxError>) -> BoxError {
            Box::new(Self { display, debug, source })
        }
    }

    impl fmt::Display for Shows {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.display)
        }
    }

    impl fmt::Debug for Shows {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.debug)
        }
    }

    impl Error for Shows {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.source.as_deref().map(|source| source as _)
        }
    }
}
