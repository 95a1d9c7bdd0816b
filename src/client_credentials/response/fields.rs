use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, error::Category, value::RawValue};

use super::{
    json_pointer::Pointer,
    options::{Reading, Rigour},
};

/// The members of a token endpoint's answer that mean something here (RFC 6749 section 5).
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) access_token: Member,
    pub(crate) token_type: Member,
    pub(crate) expires_in: Member,
    pub(crate) scope: Member,
    pub(crate) error: Member,
    pub(crate) error_description: Member,
}

/// The value of one member, as far as it matters.
#[derive(Default)]
pub(crate) enum Member {
    /// Missing, or `null`.
    #[default]
    Absent,
    Text(String),
    /// A number in the spelling that it came in.
    Number(String),
    /// The strings of an array.
    List(Vec<String>),
    False,
    Other,
}

/// Why a body has no members: what it is instead, to follow "the answer is".
pub(crate) type Unreadable = Cow<'static, str>;

impl Members {
    /// Reads a body by its shape, not by its `Content-Type`, which too many issuers get wrong.
    pub(crate) fn read(body: &[u8], reading: &Reading) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| "not in UTF-8")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let is_bare_token = reading.access_token.as_ref().is_some_and(Pointer::is_root);
        match text.bytes().next() {
            None => Err("empty".into()),
            Some(b'<') => Err("a page in HTML or XML".into()),
            Some(b'{') => Self::from_json(text, reading),
            Some(b'[' | b'"') if reading.access_token.is_some() => Self::from_json(text, reading),
            Some(_) if is_bare_token && matches!(text, "null" | "true" | "false") => {
                Err("a JSON literal".into())
            }
            Some(_) if is_bare_token && !is_form_of_an_error(text) => {
                Ok(Self { access_token: Member::Text(text.to_owned()), ..Self::default() })
            }
            Some(_) if reading.rigour == Rigour::Strict => Err("no JSON object".into()),
            Some(_) => Self::from_form(text),
        }
    }

    /// As much as there is to read of a failed answer: of one in a foreign charset what is ASCII,
    /// and of one that has members twice the `error`.
    pub(crate) fn read_leniently(body: &[u8], reading: &Reading) -> Self {
        let text = String::from_utf8_lossy(body);
        Self::read(text.as_bytes(), &reading.of_failures()).unwrap_or_else(|_| {
            let text = text.trim_start_matches('\u{feff}');
            let error = serde_json::from_str::<&RawValue>(text).ok().and_then(|document| {
                Pointer::to_member("error").find(document).ok().map(Member::from_json)
            });
            // There may be a token in it, wherever it is.
            let access_token = Member::Other;
            Self { access_token, error: error.unwrap_or_default(), ..Self::default() }
        })
    }

    fn from_json(text: &str, reading: &Reading) -> Result<Self, Unreadable> {
        let document: &RawValue = serde_json::from_str(text).map_err(broken)?;
        let object: Object<'_> = match text.starts_with('{') {
            true => serde_json::from_str(text).map_err(broken)?,
            false => Object::default(),
        };
        let member = |place: &Option<Pointer>, usual| match place {
            None => Ok(Member::from_json(usual)),
            Some(place) => match place.find(document) {
                Ok(found) => Ok(Member::from_json(found)),
                Err(_) => Err(Unreadable::from(TWICE)),
            },
        };
        Ok(Self {
            access_token: member(&reading.access_token, object.access_token)?,
            token_type: member(&reading.token_type, object.token_type)?,
            expires_in: member(&reading.expires_in, object.expires_in)?,
            scope: Member::from_json(object.scope),
            error: Member::from_json(object.error),
            error_description: Member::from_json(object.error_description),
        })
    }

    fn from_form(text: &str) -> Result<Self, Unreadable> {
        let neither = || "neither a JSON object nor a form".into();
        if text.contains(|c: char| c.is_control() || matches!(c, '<' | '>' | '"')) {
            return Err(neither());
        }
        let mut members = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let member = match &*name {
                "access_token" => &mut members.access_token,
                "token_type" => &mut members.token_type,
                "expires_in" => &mut members.expires_in,
                "scope" => &mut members.scope,
                "error" => &mut members.error,
                "error_description" => &mut members.error_description,
                _ => continue,
            };
            if !matches!(member, Member::Absent) {
                return Err("a form that has a parameter twice".into());
            }
            *member = Member::Text(value.into_owned());
        }
        match (&members.access_token, &members.error) {
            (Member::Absent, Member::Absent) => Err(neither()),
            _ => Ok(members),
        }
    }
}

fn is_form_of_an_error(text: &str) -> bool {
    form_urlencoded::parse(text.as_bytes()).any(|(name, _)| name == "error")
}

const TWICE: &str = "JSON that has a member twice";

fn broken(error: serde_json::Error) -> Unreadable {
    match error.classify() {
        Category::Eof => "JSON that ends in the middle".into(),
        Category::Data => TWICE.into(),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            format!("broken JSON (line {line}, column {column})").into()
        }
    }
}

impl Member {
    fn from_json(value: Option<&RawValue>) -> Self {
        let Some(value) = value.map(RawValue::get) else { return Self::Absent };
        if value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Self::Number(value.to_owned());
        }
        match serde_json::from_str(value) {
            Ok(Value::String(text)) => Self::Text(text),
            Ok(Value::Null) => Self::Absent,
            Ok(Value::Bool(false)) => Self::False,
            Ok(Value::Array(list)) => Self::List(
                list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            ),
            _ => Self::Other,
        }
    }
}

/// Raw values, so that only what is used has to make sense: an `expires_in` of `1e999` is none
/// of serde_json's numbers, and no reason to refuse a token.
#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    access_token: Option<&'a RawValue>,
    #[serde(borrow)]
    token_type: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_description: Option<&'a RawValue>,
}
