use std::time::SystemTime;

use http::{Response, StatusCode, header::CONTENT_ENCODING, response::Parts};

use super::{
    error_hints::Advice,
    error_response::{self, Refusal},
    fields::{Member, Members},
    options::Reading,
    retry_after, token_response,
};
use crate::{
    client_credentials::{message::Content, redaction::Redactor},
    error::{BoxError, Kind, TokenError},
    token::Token,
};

/// Reads the answers to one token request (RFC 6749 section 5).
///
/// Nothing of a successful answer but its `error` and `error_description` gets into an error: the
/// rest may be a token.
pub(crate) struct Reader<'r> {
    pub(crate) reading: &'r Reading,
    pub(crate) redactor: Redactor,
    pub(crate) advice: Advice,
}

impl Reader<'_> {
    /// The token, or why there is none. `now` is used where the answer has no `Date`.
    pub(crate) fn read(
        &self,
        response: Response<Content>,
        now: SystemTime,
    ) -> Result<Token, TokenError> {
        let (head, content) = response.into_parts();
        let outcome = match content {
            Content::Complete(body) if head.status.is_success() => self.token(&head, &body),
            Content::Complete(body) => Err(self.refusal(&head, &body)),
            Content::Broken(error) => Err(self.broken(&head, error)),
            Content::TooLarge if head.status.is_redirection() => Err(self.refusal(&head, b"")),
            Content::TooLarge => Err(too_large(head.status)),
        };
        outcome.map_err(|error| match retry_after::read(&head.headers, now) {
            Some(delay) => error.retry_in(delay),
            None => error,
        })
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
        let members = match Members::read(body, self.reading) {
            Ok(members) => members,
            Err(what) => {
                return malformed(format!(
                    "the issuer's answer is {what}, check the URL of the token endpoint"
                ));
            }
        };
        match error_code(&members.error) {
            Ok(None) => token_response::token(&members, self.reading)
                .map_err(|error| error.with_answer(head.status, false)),
            Ok(Some(code)) => Err(self.coded_refusal(head.status, code, &members)),
            Err(NotACode) => malformed(
                "the issuer's answer has an `error` that is no string, \
                 check the URL of the token endpoint"
                    .into(),
            ),
        }
    }

    fn refusal(&self, head: &Parts, body: &[u8]) -> TokenError {
        let error = self.bare_refusal(head.status).into_error();
        if head.status.is_redirection() {
            return error;
        }
        if let Some(coding) = self.content_coding(head) {
            return error.with_source(format!("the body of the answer is encoded as `{coding}`"));
        }
        let members = Members::read_leniently(body, self.reading);
        if let Ok(Some(code)) = error_code(&members.error) {
            return self.coded_refusal(head.status, code, &members);
        }
        match self.excerpt(body, &members) {
            Some(excerpt) => error.with_source(format!("the body of the answer is {excerpt}")),
            None => error,
        }
    }

    fn broken(&self, head: &Parts, error: BoxError) -> TokenError {
        let cause = self.redactor.redact_error(error);
        if !head.status.is_success() {
            return self.refusal(head, b"").with_source(cause);
        }
        let message = "the connection broke in the middle of the issuer's answer, try again later";
        TokenError::new(Kind::Fetch, message).with_source(cause).transient()
    }

    /// What repeats a token beside it is left out as a whole. To hide the token alone would tell
    /// it from what is left, and let the issuer choose what is hidden.
    fn coded_refusal(&self, status: StatusCode, code: &str, members: &Members) -> TokenError {
        let mut token = Redactor::default();
        if let Member::Text(text) = &members.access_token {
            token.hide(text);
        }
        let refusal = self.bare_refusal(status);
        let refusal = match &members.error_description {
            Member::Text(text) if token.finds(text) => {
                refusal.because(code, &Member::Absent, &self.redactor)
            }
            description => refusal.because(code, description, &self.redactor),
        };
        match token.finds(code) {
            true => refusal.with_unshown_code().into_error(),
            false => refusal.into_error(),
        }
    }

    fn bare_refusal(&self, status: StatusCode) -> Refusal {
        Refusal { status, code: None, description: None, advice: self.advice.clone() }
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
    fn excerpt(&self, body: &[u8], members: &Members) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?.trim();
        let may_have_token = !matches!(members.access_token, Member::Absent)
            || text.to_ascii_lowercase().contains("token")
            || text.contains("eyJ");
        (text.starts_with('{') && !may_have_token).then(|| self.redactor.excerpt(text))
    }
}

fn too_large(status: StatusCode) -> TokenError {
    let message = "the issuer's answer is larger than the limit, \
                   check the URL of the token endpoint or raise `response_limit`";
    let transient = error_response::is_transient(status, None);
    TokenError::new(Kind::TooLarge, message).with_answer(status, transient)
}

/// An `error` that is none of RFC 6749's and not just another way to say that there is none.
struct NotACode;

fn error_code(error: &Member) -> Result<Option<&str>, NotACode> {
    match error {
        Member::Absent | Member::False => Ok(None),
        Member::Text(code) => Ok((!code.is_empty()).then_some(code)),
        Member::Number(number) if number.parse() == Ok(0.0) => Ok(None),
        Member::Number(_) | Member::List(_) | Member::Other => Err(NotACode),
    }
}
