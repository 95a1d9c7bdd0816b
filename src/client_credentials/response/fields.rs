//! The fields of a response that this crate uses, read from JSON or from a form.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, error::Category, value::RawValue};

use super::{json_pointer::JsonPointer, options::ResponseOptions};

/// The fields of a token response or an error response (RFC 6749 section 5).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    pub(super) access_token: Field,
    pub(super) token_type: Field,
    pub(super) expires_in: Field,
    pub(super) scope: Field,
    pub(super) error: Field,
    pub(super) error_description: Field,
}

/// The value of one field, as far as it matters.
#[derive(Default)]
pub(super) enum Field {
    /// Missing, or `null`.
    #[default]
    Absent,
    Text(String),
    /// A number, written as in the response.
    Number(String),
    /// The strings of an array.
    List(Vec<String>),
    False,
    Other,
}

/// Why a body has no fields: what it is instead, to follow "the answer is".
pub(super) type UnreadableBody = Cow<'static, str>;

impl Fields {
    /// Reads a body by its shape, not by its `Content-Type`, which too many issuers get wrong.
    pub(super) fn read(body: &[u8], options: &ResponseOptions) -> Result<Self, UnreadableBody> {
        let text = std::str::from_utf8(body).map_err(|_| "not in UTF-8")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let is_bare_token = options.access_token.as_ref().is_some_and(JsonPointer::is_root);
        match text.bytes().next() {
            None => Err("empty".into()),
            Some(b'<') => Err("a page in HTML or XML".into()),
            Some(b'{') => Self::from_json(text, options),
            Some(b'[' | b'"') if options.access_token.is_some() => Self::from_json(text, options),
            Some(_) if is_bare_token && matches!(text, "null" | "true" | "false") => {
                Err("a JSON literal".into())
            }
            Some(_) if is_bare_token && !is_form_of_an_error(text) => {
                Ok(Self { access_token: Field::Text(text.to_owned()), ..Self::default() })
            }
            Some(_) if options.strict => Err("no JSON object".into()),
            Some(_) => Self::from_form(text),
        }
    }

    /// Reads as much of an error response as there is to read. In another charset than UTF-8 that
    /// is what is ASCII, and with duplicate members it is the `error`.
    pub(super) fn read_leniently(body: &[u8], options: &ResponseOptions) -> Self {
        let text = String::from_utf8_lossy(body);
        Self::read(text.as_bytes(), &options.for_error_responses()).unwrap_or_else(|_| {
            let text = text.trim_start_matches('\u{feff}');
            let error = serde_json::from_str::<&RawValue>(text).ok().and_then(|document| {
                JsonPointer::to_member("error").find(document).ok().map(Field::from_json)
            });
            // There may be a token in it, wherever it is.
            let access_token = Field::Other;
            Self { access_token, error: error.unwrap_or_default(), ..Self::default() }
        })
    }

    fn from_json(text: &str, options: &ResponseOptions) -> Result<Self, UnreadableBody> {
        let document: &RawValue = serde_json::from_str(text).map_err(broken)?;
        let mut fields: Self = match text.starts_with('{') {
            true => serde_json::from_str(text).map_err(broken)?,
            false => Self::default(),
        };
        for (field, pointer) in [
            (&mut fields.access_token, &options.access_token),
            (&mut fields.token_type, &options.token_type),
            (&mut fields.expires_in, &options.expires_in),
        ] {
            if let Some(pointer) = pointer {
                *field = Field::from_json(pointer.find(document).map_err(|_| TWICE)?);
            }
        }
        Ok(fields)
    }

    fn from_form(text: &str) -> Result<Self, UnreadableBody> {
        let neither = || "neither a JSON object nor a form".into();
        if text.contains(|c: char| c.is_control() || matches!(c, '<' | '>' | '"')) {
            return Err(neither());
        }
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let field = match &*name {
                "access_token" => &mut fields.access_token,
                "token_type" => &mut fields.token_type,
                "expires_in" => &mut fields.expires_in,
                "scope" => &mut fields.scope,
                "error" => &mut fields.error,
                "error_description" => &mut fields.error_description,
                _ => continue,
            };
            if !matches!(field, Field::Absent) {
                return Err("a form that has a parameter twice".into());
            }
            *field = Field::Text(value.into_owned());
        }
        match (&fields.access_token, &fields.error) {
            (Field::Absent, Field::Absent) => Err(neither()),
            _ => Ok(fields),
        }
    }
}

fn is_form_of_an_error(text: &str) -> bool {
    form_urlencoded::parse(text.as_bytes()).any(|(name, _)| name == "error")
}

const TWICE: &str = "JSON that has a member twice";

fn broken(error: serde_json::Error) -> UnreadableBody {
    match error.classify() {
        Category::Eof => "JSON that ends in the middle".into(),
        Category::Data => TWICE.into(),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            format!("broken JSON (line {line}, column {column})").into()
        }
    }
}

impl Field {
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

/// From a raw value, so that only what is used has to make sense: an `expires_in` of `1e999` is none
/// of serde_json's numbers, and no reason to refuse a token.
impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self::from_json(Some(value)))
    }
}
