use http::header::WWW_AUTHENTICATE;

use super::*;
use crate::{cache::TokenCache, fetcher::fetch_fn, settings::Tokens, token::Token};

const FIRST: Attempt = Attempt { is_second: false, is_repeat: false };
const SECOND: Attempt = Attempt { is_second: true, ..FIRST };

fn settings() -> Settings {
    let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
    Settings::new(Tokens::One(tokens))
}

fn of(settings: &Settings, status: u16, challenge: &str, attempt: Attempt) -> Verdict {
    let mut headers = HeaderMap::new();
    if !challenge.is_empty() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(challenge).unwrap());
    }
    verdict(StatusCode::from_u16(status).unwrap(), &headers, settings, attempt, None)
}

#[test]
fn a_rejection_asks_for_another_token_once() {
    let settings = settings();
    let another = Verdict::SendAgain(With::AnotherToken);
    for (status, challenge, first, second) in [
        (200, "", Verdict::Deliver, Verdict::Helped),
        (401, "", another, Verdict::RejectedAgain),
        (401, "Basic", another, Verdict::RejectedAgain),
        (401, r#"Bearer error="invalid_token""#, another, Verdict::RejectedAgain),
        (401, r#"Bearer error="insufficient_scope""#, Verdict::Deliver, Verdict::Helped),
        (401, r#"Bearer error="insufficient_claims""#, Verdict::Deliver, Verdict::Helped),
        (403, r#"Bearer error="invalid_token""#, Verdict::Deliver, Verdict::Helped),
        (404, "", Verdict::Deliver, Verdict::Helped),
        (429, "", Verdict::Deliver, Verdict::Deliver),
        (500, "", Verdict::Deliver, Verdict::Deliver),
    ] {
        assert_eq!(of(&settings, status, challenge, FIRST), first, "{status} {challenge}");
        assert_eq!(of(&settings, status, challenge, SECOND), second, "{status} {challenge}");
    }
}

#[test]
#[cfg(feature = "client-credentials")]
fn claims_are_asked_for_once_where_the_layer_answers_them() {
    let mut settings = settings();
    settings.wanted_claims = Some(crate::http::wanted_claims);
    let wanted = r#"Bearer error="insufficient_claims", claims="e30""#;
    let with_claims = Verdict::SendAgain(With::TokenWithClaims);
    assert_eq!(of(&settings, 401, wanted, FIRST), with_claims);
    assert_eq!(of(&settings, 401, wanted, SECOND), Verdict::RejectedAgain);
    assert_eq!(of(&settings, 403, wanted, FIRST), Verdict::Deliver, "a 401 alone asks for claims");
    let malformed = r#"Bearer error="insufficient_claims", claims="%""#;
    assert_eq!(of(&settings, 401, malformed, FIRST), Verdict::Deliver);
}

#[test]
fn an_objection_to_the_proof_does_not_reject_the_token() {
    let settings = settings();
    let of = |attempt, objection| {
        verdict(StatusCode::UNAUTHORIZED, &HeaderMap::new(), &settings, attempt, objection)
    };
    let same = Verdict::SendAgain(With::SameToken);
    let repeat = |attempt| Attempt { is_repeat: true, ..attempt };
    for (attempt, nonce, none) in [
        (FIRST, same, Verdict::SendAgain(With::AnotherToken)),
        (SECOND, same, Verdict::RejectedAgain),
        (repeat(FIRST), Verdict::Deliver, Verdict::SendAgain(With::AnotherToken)),
        (repeat(SECOND), Verdict::Deliver, Verdict::RejectedAgain),
    ] {
        assert_eq!(of(attempt, Some(Objection::Repeat)), nonce, "{attempt:?}");
        assert_eq!(of(attempt, Some(Objection::Other)), Verdict::Deliver, "{attempt:?}");
        assert_eq!(of(attempt, None), none, "{attempt:?}");
    }
}
