//! What a response means for the token of the attempt that it answers. Pure.

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{binding::Objection, settings::Settings};

/// Which attempt of its request a response answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempt {
    /// It carries a token that took the place of a rejected one.
    pub(crate) is_second: bool,
    /// The request was sent before with the same token.
    pub(crate) is_repeat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The response is the caller's, and says nothing against the token.
    Deliver,
    /// The response is the caller's, and the token that was fetched for this request has helped.
    Helped,
    /// The response is the caller's, and rejects the token that was fetched for this request.
    RejectedAgain,
    /// The request is to be sent again.
    SendAgain(With),
}

/// The token of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// One that takes the place of the rejected token.
    AnotherToken,
    /// One that has the claims that the API asks for.
    TokenWithClaims,
    SameToken,
}

#[inline]
pub(crate) fn verdict(
    status: StatusCode,
    headers: &HeaderMap,
    settings: &Settings,
    attempt: Attempt,
    objection: Option<Objection>,
) -> Verdict {
    if objection == Some(Objection::Repeat) && !attempt.is_repeat {
        return Verdict::SendAgain(With::SameToken);
    }
    let wants_claims = settings.claims_in(status, headers).is_some();
    if objection.is_some() && !wants_claims {
        return Verdict::Deliver;
    }
    let is_rejection = wants_claims || settings.rejection.is_in(status, headers);
    match attempt.is_second {
        false if wants_claims => Verdict::SendAgain(With::TokenWithClaims),
        false if is_rejection => Verdict::SendAgain(With::AnotherToken),
        true if is_rejection => Verdict::RejectedAgain,
        true if !is_inconclusive(status, headers) => Verdict::Helped,
        _ => Verdict::Deliver,
    }
}

/// Whether the response says nothing about the token, good or bad.
fn is_inconclusive(status: StatusCode, headers: &HeaderMap) -> bool {
    let grpc = headers.get("grpc-status").map(HeaderValue::as_bytes);
    // Those that gRPC has for 5xx and 429: deadline, exhausted, internal, unavailable and their kin.
    let grpc = matches!(grpc, Some(b"1" | b"2" | b"4" | b"8" | b"13" | b"14" | b"15"));
    grpc || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

#[cfg(test)]
mod tests;
