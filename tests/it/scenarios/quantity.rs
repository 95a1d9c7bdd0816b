//! How the scenarios write times and numbers.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

/// How exactly times are compared.
const CLOSE: Duration = Duration::from_millis(10);

/// `1h30m`, `58m0s500ms`, `never`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(Duration::MAX));
        }
        let malformed = || format!("`{text}` is not a time such as 1h30m or 500ms");
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
            let number: u32 = rest[..digits].parse().map_err(|_| malformed())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => Duration::from_millis(1),
                "s" => Duration::from_secs(1),
                "m" => Duration::from_secs(60),
                "h" => Duration::from_secs(3600),
                "d" => Duration::from_secs(24 * 3600),
                _ => return Err(malformed()),
            };
            total += unit * number;
            rest = &rest[letters..];
        }
        if text.is_empty() { Err(malformed()) } else { Ok(Self(total)) }
    }
}

/// `+2h` or `-30m`, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Shift(pub i64);

impl FromStr for Shift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, span) = match text.split_at_checked(1) {
            Some(("+", span)) => (1, span),
            Some(("-", span)) => (-1, span),
            _ => return Err(format!("`{text}` does not begin with + or -")),
        };
        let seconds = span.parse::<Span>()?.0.as_secs();
        Ok(Self(sign * i64::try_from(seconds).map_err(|error| error.to_string())?))
    }
}

/// One value, or all from the first to the last: `7`, `4..6`, `1s..2s`.
#[derive(Clone, Copy, Debug)]
pub struct Range<T>(T, T);

impl Range<usize> {
    pub fn has(self, n: usize) -> bool {
        (self.0..=self.1).contains(&n)
    }
}

impl Range<Span> {
    pub fn has(self, time: Duration) -> bool {
        (self.0.0.saturating_sub(CLOSE)..=self.1.0.saturating_add(CLOSE)).contains(&time)
    }
}

impl<T: FromStr + Copy> FromStr for Range<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        Ok(Self(first.parse()?, last.parse()?))
    }
}

impl fmt::Display for Range<usize> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(first, last) if first == last => first.fmt(f),
            Self(first, last) => write!(f, "{first} to {last}"),
        }
    }
}

impl fmt::Display for Range<Span> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(first, last) if first == last => write!(f, "{:?}", first.0),
            Self(first, last) => write!(f, "{:?} to {:?}", first.0, last.0),
        }
    }
}

/// Either a TOML integer or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(usize),
    Text(String),
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    from: D,
) -> Result<T, D::Error> {
    let text = match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    };
    text.parse().map_err(D::Error::custom)
}

macro_rules! deserialize {
    ($($quantity:ty),*) => {$(
        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                parsed(from)
            }
        }
    )*};
}

deserialize!(Span, Shift, Range<usize>, Range<Span>);
