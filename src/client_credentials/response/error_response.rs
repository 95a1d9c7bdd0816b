//! An error response of the token endpoint (RFC 6749 section 5.2), and the `TokenError` for it.

use std::borrow::Cow;

use http::StatusCode;

use super::fields::Field;
use crate::{
    error::{Kind, TokenError},
    secret::Redactor,
};

/// Codes after which another attempt may lock the client out, whatever the status (RFC 6749 section 5.2).
const FINAL: [&str; 3] = ["invalid_client", "invalid_grant", "unauthorized_client"];

/// Codes after which another attempt may succeed.
const TRANSIENT: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// Other codes that are passed on letter for letter, even if a secret reads like part of one.
const REGISTERED: [&str; 8] = [
    "invalid_request",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "access_denied",
    "use_dpop_nonce",
    "invalid_dpop_proof",
    "unsupported_token_type",
];

/// What the user can check if the issuer refuses the request.
#[derive(Clone, Debug)]
pub(crate) struct ErrorHints {
    /// For `invalid_client`.
    pub(crate) client_auth: &'static str,
    /// For `invalid_grant`.
    pub(crate) grant: &'static str,
    /// For credentials that the issuer may decode in another way than they were encoded.
    pub(crate) encoding: Option<&'static str>,
}

impl ErrorHints {
    /// The hint, followed by the one about the encoding if there is one.
    fn with_encoding(&self, hint: &'static str) -> Cow<'static, str> {
        match self.encoding {
            Some(encoding) => format!("{hint}: {encoding}").into(),
            None => hint.into(),
        }
    }
}

/// The response, without texts that repeat a secret.
pub(super) struct ErrorResponse {
    pub(super) status: StatusCode,
    pub(super) code: Option<String>,
    pub(super) description: Option<String>,
    pub(super) hints: ErrorHints,
}

impl ErrorResponse {
    /// Adds the `error` and the `error_description`.
    pub(super) fn with_code(
        mut self,
        code: &str,
        description: &Field,
        redactor: &Redactor,
    ) -> Self {
        self.code =
            Some(if is_registered(code) { code.to_owned() } else { redactor.excerpt(code) });
        self.description = match description {
            Field::Text(text) if !text.trim().is_empty() => Some(redactor.description(text)),
            _ => None,
        };
        self
    }

    pub(super) fn into_error(self) -> TokenError {
        let transient = is_transient(self.status, self.code.as_deref());
        let message = format!("{}, {}", self.summary(transient), self.hint(transient));
        let error = TokenError::new(Kind::Answer, message).with_answer(self.status, transient);
        match self.code {
            Some(code) => error.with_code(code, self.description),
            None => error,
        }
    }

    fn summary(&self, transient: bool) -> String {
        let status = self.status.as_u16();
        let Some(code) = &self.code else {
            return match status {
                300..400 => format!("the token endpoint redirects ({status})"),
                _ => format!("the token endpoint answered with status {status}"),
            };
        };
        let description = self.description.as_ref().map(|text| format!(": {text}"));
        let description = description.unwrap_or_default();
        match transient {
            true => format!("the issuer failed with `{code}` ({status}{description})"),
            false => {
                format!("the issuer refused the client with `{code}` ({status}{description})")
            }
        }
    }

    fn hint(&self, transient: bool) -> Cow<'static, str> {
        let hint = match (self.code.as_deref(), self.status.as_u16()) {
            _ if transient => "try again later",
            (Some("invalid_client"), _) | (None, 401) => {
                return self.hints.with_encoding(self.hints.client_auth);
            }
            (Some("invalid_grant"), _) => self.hints.grant,
            (Some("unauthorized_client"), _) => {
                "check that the client may use this grant, and its secret"
            }
            (Some("unsupported_grant_type"), _) => {
                "check the URL of the token endpoint and that it offers this grant"
            }
            (Some("invalid_scope"), _) => "check the scope and that the client may have it",
            (Some("invalid_target"), _) => "check the `resource` and `audience` parameters",
            (Some("invalid_request"), _) => {
                let hint = "check which parameters the issuer wants and how they are sent";
                return self.hints.with_encoding(hint);
            }
            (Some("invalid_dpop_proof"), _) => {
                "check this machine's clock, and that the issuer takes the key's algorithm"
            }
            (Some("use_dpop_nonce"), _) => {
                "register the client for bearer tokens, or call `dpop`; if that is called, the issuer gave no nonce \
                 for its DPoP proofs or did not take it"
            }
            (Some(_), 401) => return self.hints.with_encoding(self.hints.client_auth),
            (Some(_), _) => "check the client's registration at the issuer",
            (None, 300..400) => "configure the URL that it redirects to: no redirect is followed",
            (None, 400 | 415) => "check which parameters it wants and how they are sent",
            (None, 403) => "check that the client may have tokens",
            (None, 404 | 405 | 410) => "check its URL",
            (None, _) => "check its URL and the client's registration",
        };
        hint.into()
    }
}

fn is_registered(code: &str) -> bool {
    REGISTERED.into_iter().chain(FINAL).chain(TRANSIENT).any(|registered| registered == code)
}

/// Whether the same request may be answered otherwise later.
pub(crate) fn is_transient(status: StatusCode, code: Option<&str>) -> bool {
    match code {
        Some(code) if FINAL.contains(&code) => false,
        Some(code) if TRANSIENT.contains(&code) => true,
        _ => match status.as_u16() {
            408 | 425 | 429 => true,
            501 | 505 => false,
            status => (500..600).contains(&status),
        },
    }
}
