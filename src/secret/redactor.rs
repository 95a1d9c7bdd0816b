//! Keeps secrets out of texts that others wrote: the issuer, or the HTTP client.

use std::{error::Error, iter};

use secrecy::{ExposeSecret, SecretString};

use super::readings::any_reading;
use crate::error::BoxError;

/// Stands for a text that has a secret in it. To leave out the secret alone would tell where it was, and let
/// whoever wrote the text choose what else is left out.
const LEFT_OUT: &str = "[left out: it repeats a secret]";

const QUERY: &str = "[redacted]";

/// The most of a foreign text that is kept, in characters.
const LONGEST: usize = 256;

/// The same for what an issuer says of an error, which may end in the ids of a trace.
#[cfg(feature = "client-credentials")]
const LONGEST_DESCRIPTION: usize = 1024;

/// How often a text may have been escaped on its way, one time around the other.
const NESTED: usize = 2;

/// Shorter secrets, in characters, are part of too many words. They count as words of their own.
const SHORTEST_PART: usize = 8;

/// As a secret, each of these would leave out most of what issuers say, and they give nothing away.
const COMMON: [&str; 8] = ["client", "grant", "id", "key", "scope", "secret", "token", "user"];

/// The secrets that no text may show.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    hidden: Vec<SecretString>,
}

impl Redactor {
    /// From now on a text that has this in it is left out: in upper or lower case, as it is, percent-encoded,
    /// as form, JSON, HTML or base64 write it, or as one of these within another. Of credentials with a scheme
    /// before them, they alone count too.
    pub(crate) fn hide(&mut self, secret: &str) {
        let credentials = secret.split_once(' ').map_or("", |(_, credentials)| credentials);
        for text in [secret, credentials].map(comparable) {
            if !text.is_empty() && !COMMON.contains(&&*text) {
                self.hidden.push(text.into());
            }
        }
    }

    /// Whether something that is hidden stands in the text.
    fn finds(&self, text: &str) -> bool {
        let has_one = |reading: &str| {
            let reading = comparable(reading);
            self.hidden.iter().any(|secret| is_in(secret.expose_secret(), &reading))
        };
        !self.hidden.is_empty() && any_reading(text, NESTED, &has_one)
    }

    /// The text without the query of any URL, on one line, and cut to at most 256 characters.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        self.cut(text, LONGEST)
    }

    /// An excerpt of an `error_description`, of at most 1,024 characters.
    #[cfg(feature = "client-credentials")]
    pub(crate) fn description(&self, text: &str) -> String {
        self.cut(text, LONGEST_DESCRIPTION)
    }

    fn cut(&self, text: &str, longest: usize) -> String {
        let escaped: String =
            self.redact(text).chars().flat_map(escape).take(longest + 1).collect();
        match escaped.char_indices().nth(longest) {
            None => escaped,
            Some(_) => escaped.chars().take(longest - 1).chain(['…']).collect(),
        }
    }

    /// The error itself if nothing in it or in its causes is hidden, else one with what is left of
    /// their texts.
    pub(crate) fn redact_error(&self, error: BoxError) -> BoxError {
        let is_clean = |text: String| self.redact(&text) == text;
        if causes(&*error)
            .all(|error| is_clean(error.to_string()) && is_clean(format!("{error:?}")))
        {
            return error;
        }
        let texts: Vec<_> = causes(&*error).map(|error| self.redact(&error.to_string())).collect();
        texts.join(": ").into()
    }

    fn redact(&self, text: &str) -> String {
        match self.finds(text) {
            true => LEFT_OUT.to_owned(),
            false => without_queries(text),
        }
    }
}

/// In lower case, without what each language quotes in its own way, and with spaces as forms have them.
fn comparable(text: &str) -> String {
    text.replace(['\\', '"', '\''], "").replace(' ', "+").to_ascii_lowercase()
}

fn is_in(secret: &str, text: &str) -> bool {
    if secret.chars().count() >= SHORTEST_PART {
        return text.contains(secret);
    }
    text.char_indices().any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        rest.strip_prefix(secret).is_some_and(|after| {
            !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
        })
    })
}

/// The error and what it stems from.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| (**error).source())
}

/// A query ends where a URL does: before what cannot be part of one.
fn without_queries(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
    let parts = text.split_inclusive(is_end).flat_map(|word| {
        let url = word.trim_end_matches(is_end);
        let query = url.find("://").and_then(|scheme_end| {
            Some(scheme_end + url[scheme_end..].find('?')? + 1).filter(|query| *query < url.len())
        });
        match query {
            Some(query) => [&word[..query], QUERY, &word[url.len()..]],
            None => [word, "", ""],
        }
    });
    parts.collect()
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let plain = matches!(c, '"' | '\'' | '\\').then_some(c);
    let escaped = plain.is_none().then(|| c.escape_debug());
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn redactor(secret: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.hide(secret);
        redactor
    }

    #[test]
    fn a_text_is_left_out_however_it_repeats_a_secret() {
        let redactor = redactor("p@ss wörd+\"1*~");
        for text in [
            "p@ss wörd+\"1*~",
            "P@SS Wörd+\"1*~",
            "p@ss wörd+\\\"1*~",
            r#"p@ss w\u00f6rd\u002B\"1\u{2a}~"#,
            r#"p@ss w\u00F6rd+\\\"1*~"#,
            "p%40ss+w%C3%B6rd%2B%221*%7E",
            "p%40ss%20w%c3%b6rd%2b%221%2A~",
            "p@ss%20w%C3%B6rd%2B\"1*~",
            "p&#64;ss w&#246;rd&#43;&quot;1&#42;~",
            "p&#x40;ss w&#xf6;rd&#X2B;&#x22;1*~",
            "p&#64ss w&#xF6;rd+&quot;1*~",
            "p@ss wörd+\"\"1*~",
            "p@ss wörd+'1*~",
            "cEBzcyB3w7ZyZCsiMSp+",
            "cEBzcyB3w7ZyZCsiMSp-",
            "cEBzcyB3w7Zy\r\nZCsiMSp+",
            "id:cEBzcyB3w7ZyZCsiMSp%2B",
            "aWQ6cEBzcyB3w7ZyZCsiMSp+Og==",
            "aWQ6cEBzcyB3w7ZyZCsiMSp-Og",
            "c_aWQ6cEBzcyB3w7ZyZCsiMSp-",
            "Y2xpZW50OnAlNDBzcyt3JUMzJUI2cmQlMkIlMjIxKiU3RQ==",
            "x\\/Y2xpZW50OnAlNDBzcyt3JUMzJUI2cmQlMkIlMjIxKiU3RQ==",
            "eyJwIjoicEBzcyB3XHUwMGY2cmQrXCIxKn4ifQ",
            "p%2540ss%2520w%25C3%25B6rd%252B%25221*~",
        ] {
            assert_eq!(redactor.excerpt(&format!("got <{text}>.")), LEFT_OUT, "{text}");
        }
        let other = "p@ss word+1*~ p%40 \\u00 \\u{110000} \\ud800 &#; &#xffffffff; &x %zz cEBzcyB3";
        assert_eq!(redactor.excerpt(other), other);
    }

    #[test]
    fn credentials_count_without_their_scheme() {
        let redactor = redactor("ApiKey s3cr3t-s3cr3t");
        assert!(redactor.finds("no key s3cr3t-s3cr3t"));
        assert!(!redactor.finds("no ApiKey"));
    }

    #[test]
    fn a_short_secret_counts_as_a_word_of_its_own() {
        let redactor = redactor("s3cret");
        for text in ["s3cret", "got 's3cret'", "id=s3cret&x", "as3cret s3cret", "got czNjcmV0"] {
            assert!(redactor.finds(text), "{text}");
        }
        for text in ["s3cre", "s3crets", "as3cret", "1s3cret2"] {
            assert!(!redactor.finds(text), "{text}");
        }
    }

    #[test]
    fn a_word_that_issuers_often_write_is_not_hidden() {
        assert_eq!(redactor("secret").excerpt("Invalid client secret"), "Invalid client secret");
        assert!(redactor("secret-1").finds("got secret-1"));
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        assert_eq!(redactor("").excerpt("a text"), "a text");
    }

    #[test]
    fn a_url_loses_its_query_and_nothing_else() {
        let text = "error for url (https://a.example/t?id=1&k=v) \"http://b/?x\" http://c/? d?e";
        assert_eq!(
            Redactor::default().excerpt(text),
            "error for url (https://a.example/t?[redacted] \"http://b/?[redacted]\" http://c/? d?e"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_secret_is_found_in_escapes_within_escapes(
            secret in "[ -~é]{7,20}[a-z]",
            around in "[ -~]{0,5}",
            ways in prop::collection::vec(0..WAYS.len(), 0..=NESTED),
        ) {
            let text = ways.iter().fold(format!("{around} {secret}"), |text, way| WAYS[*way](&text));
            prop_assert!(redactor(&secret).finds(&format!("{text} {around}")), "{text}");
        }
    }

    const WAYS: [fn(&str) -> String; 6] = [
        |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        |text| form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        |text| serde_json::Value::from(text).to_string(),
        |text| text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        |text| text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        |text| BASE64_URL_SAFE_NO_PAD.encode(text),
    ];

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
        let excerpt = redactor("s3cr3t").excerpt("\u{1b}[31m\"bad\"\r\n\u{202e}it's a\\b é");
        assert_eq!(excerpt, "\\u{1b}[31m\"bad\"\\r\\n\\u{202e}it's a\\b é");
        assert_eq!(Redactor::default().excerpt(&"é".repeat(256)), "é".repeat(256));
        let cut = Redactor::default().excerpt(&"é".repeat(257));
        assert_eq!(cut, "é".repeat(255) + "…");
    }

    #[test]
    fn a_secret_beyond_the_cut_counts_too() {
        let text = "x".repeat(250) + "s3cr3t-s3cr3t";
        assert_eq!(redactor("s3cr3t-s3cr3t").excerpt(&text), LEFT_OUT);
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
            let is_left_out = texts.contains(LEFT_OUT) || texts.contains("no route for it");
            assert!(is_left_out && !texts.contains("s3cr3t"), "{texts}");
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
