//! Reads the response to a token request: the token, or the error that says why there is none.

use std::time::SystemTime;

use http::{HeaderMap, Response, StatusCode, header::CONTENT_ENCODING, response::Parts};

use super::{
    error_response::{ErrorHints, ErrorResponse, is_transient},
    fields::{Field, Fields},
    options::ResponseOptions,
    token_response,
};
use crate::{
    client_credentials::{binding::TokenBinding, message::CollectedBody},
    error::{BoxError, Kind, TokenError},
    http::retry_after,
    secret::Redactor,
    token::Token,
};

/// Reads the response to one token request (RFC 6749 section 5).
///
/// Nothing of a successful response but its `error` and `error_description` gets into an error: the
/// rest may be a token.
pub(crate) struct ResponseReader<'r> {
    pub(crate) options: &'r ResponseOptions,
    pub(crate) binding: Option<&'r dyn TokenBinding>,
    pub(crate) redactor: Redactor,
    pub(crate) hints: ErrorHints,
}

impl ResponseReader<'_> {
    /// The token, or why there is none. `now` is used where the answer has no `Date`.
    pub(crate) fn read(
        &self,
        response: Response<CollectedBody>,
        now: SystemTime,
    ) -> Result<Token, TokenError> {
        let (head, content) = response.into_parts();
        let outcome = match content {
            CollectedBody::Complete(body) if head.status.is_success() => self.token(&head, &body),
            CollectedBody::Complete(body) => Err(self.error_response(&head, &body)),
            CollectedBody::Broken(error) => Err(self.broken(&head, error)),
            CollectedBody::TooLarge if head.status.is_redirection() => {
                Err(self.error_response(&head, b""))
            }
            CollectedBody::TooLarge => Err(too_large(head.status)),
        };
        outcome.map_err(|error| with_retry_after(error, &head.headers, now))
    }

    /// Whether a token was revoked (RFC 7009 section 2.2). One that the issuer does not know counts as revoked.
    pub(crate) fn read_revocation(
        &self,
        response: Response<CollectedBody>,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let (head, content) = response.into_parts();
        let error = match content {
            _ if head.status.is_success() => return Ok(()),
            CollectedBody::Complete(body) => self.error_response(&head, &body),
            CollectedBody::Broken(_) | CollectedBody::TooLarge => self.error_response(&head, b""),
        };
        Err(with_retry_after(error.of("the token was not revoked"), &head.headers, now))
    }

    fn token(&self, head: &Parts, body: &[u8]) -> Result<Token, TokenError> {
        let malformed = |message| {
            Err(TokenError::new(Kind::Malformed, message).with_answer(head.status, false))
        };
        if let Some(coding) = self.content_coding(head) {
            return malformed(format!(
                "the issuer's answer is encoded as `{coding}`, let the HTTP client decode it"
            ));
        }
        let fields = match Fields::read(body, self.options) {
            Ok(fields) => fields,
            Err(what) => {
                return malformed(format!(
                    "the issuer's answer is {what}, check the URL of the token endpoint"
                ));
            }
        };
        match error_code(&fields.error) {
            Ok(None) => token_response::token(&fields, self.options, self.binding)
                .map_err(|error| error.with_answer(head.status, false)),
            Ok(Some(code)) => Err(self.coded_error_response(head.status, code, &fields)),
            Err(InvalidErrorCode) => malformed(
                "the issuer's answer has an `error` that is no string, \
                 check the URL of the token endpoint"
                    .into(),
            ),
        }
    }

    fn error_response(&self, head: &Parts, body: &[u8]) -> TokenError {
        let error = self.bare_error_response(head.status).into_error();
        if head.status.is_redirection() {
            return error;
        }
        if let Some(coding) = self.content_coding(head) {
            return error.with_source(format!("the body of the answer is encoded as `{coding}`"));
        }
        let fields = Fields::read_leniently(body, self.options);
        if let Ok(Some(code)) = error_code(&fields.error) {
            return self.coded_error_response(head.status, code, &fields);
        }
        match self.excerpt(body, &fields) {
            Some(excerpt) => error.with_source(format!("the body of the answer is {excerpt}")),
            None => error,
        }
    }

    fn broken(&self, head: &Parts, error: BoxError) -> TokenError {
        let cause = self.redactor.redact_error(error);
        if !head.status.is_success() {
            return self.error_response(head, b"").with_source(cause);
        }
        let message = "the connection broke in the middle of the issuer's answer, try again later";
        TokenError::new(Kind::Fetch, message).with_source(cause).transient()
    }

    /// The token of the same response is a secret too.
    fn coded_error_response(&self, status: StatusCode, code: &str, fields: &Fields) -> TokenError {
        let mut redactor = self.redactor.clone();
        if let Field::Text(token) = &fields.access_token {
            redactor.hide(token);
        }
        let error_response = self.bare_error_response(status);
        error_response.with_code(code, &fields.error_description, &redactor).into_error()
    }

    fn bare_error_response(&self, status: StatusCode) -> ErrorResponse {
        ErrorResponse { status, code: None, description: None, hints: self.hints.clone() }
    }

    /// A coding that the body still has on, though none was asked for.
    fn content_coding(&self, head: &Parts) -> Option<String> {
        let values = head.headers.get_all(CONTENT_ENCODING).iter();
        let mut codings = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        codings
            .find(|coding| !matches!(&*coding.trim().to_ascii_lowercase(), "" | "identity"))
            .map(|coding| self.redactor.excerpt(&coding))
    }

    /// An error in a vendor's own words, unless a token may be among them.
    fn excerpt(&self, body: &[u8], fields: &Fields) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?.trim();
        let may_have_token = !matches!(fields.access_token, Field::Absent)
            || text.to_ascii_lowercase().contains("token")
            || text.contains("eyJ");
        (text.starts_with('{') && !may_have_token).then(|| self.redactor.excerpt(text))
    }
}

/// The error, with the time for which the issuer asks to be left alone.
pub(crate) fn with_retry_after(
    error: TokenError,
    headers: &HeaderMap,
    now: SystemTime,
) -> TokenError {
    match retry_after(headers, now) {
        Some(delay) => error.retry_in(delay),
        None => error,
    }
}

fn too_large(status: StatusCode) -> TokenError {
    let message = "the issuer's answer is larger than the limit, \
                   check the URL of the token endpoint or raise `response_limit`";
    let transient = is_transient(status, None);
    TokenError::new(Kind::TooLarge, message).with_answer(status, transient)
}

/// An `error` that is none of RFC 6749's and not just another way to say that there is none.
struct InvalidErrorCode;

fn error_code(error: &Field) -> Result<Option<&str>, InvalidErrorCode> {
    match error {
        Field::Absent | Field::False => Ok(None),
        Field::Text(code) => Ok((!code.is_empty()).then_some(code)),
        Field::Number(number) if number.parse() == Ok(0.0) => Ok(None),
        Field::Number(_) | Field::List(_) | Field::Other => Err(InvalidErrorCode),
    }
}
