//! Whether an API has accepted the token, and wants one that says more.

use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode};

use crate::{cache::TokenCache, challenge::bearer_param, fetcher::Claims};

/// What the layer's setters say about such responses.
#[derive(Clone, Default)]
pub(crate) struct StepUp {
    #[cfg(feature = "client-credentials")]
    pub(crate) claims: bool,
    pub(crate) scope: Option<Arc<WiderScope>>,
}

pub(crate) type WiderScope = dyn Fn(&str) -> Option<TokenCache> + Send + Sync;

/// Where the token for a second attempt comes from.
pub(crate) enum Wanted {
    /// The same cache, if its issuer is told of these claims.
    Claims(Claims),
    /// A cache whose tokens have a wider scope.
    Scope(TokenCache),
}

impl StepUp {
    /// Whether a response with this status is to be read at all.
    #[inline]
    pub(crate) fn may_want(&self, status: StatusCode) -> bool {
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) && self.is_set()
    }

    /// Runs the user's function, so it is for a response that a second attempt can follow.
    pub(crate) fn wanted(&self, status: StatusCode, headers: &HeaderMap) -> Option<Wanted> {
        match self.wanted_claims(status, headers) {
            Some(claims) => Some(Wanted::Claims(claims)),
            None => self.wider(headers).map(Wanted::Scope),
        }
    }

    #[cfg(feature = "client-credentials")]
    pub(crate) fn wanted_claims(&self, status: StatusCode, headers: &HeaderMap) -> Option<Claims> {
        if !self.claims || status != StatusCode::UNAUTHORIZED {
            return None;
        }
        decode(&bearer_param(headers, "insufficient_claims", "claims")?)
    }

    #[cfg(not(feature = "client-credentials"))]
    pub(crate) fn wanted_claims(&self, _: StatusCode, _: &HeaderMap) -> Option<Claims> {
        None
    }

    fn wider(&self, headers: &HeaderMap) -> Option<TokenCache> {
        let wider = self.scope.as_ref()?;
        wider(&bearer_param(headers, "insufficient_scope", "scope")?)
    }

    fn is_set(&self) -> bool {
        #[cfg(feature = "client-credentials")]
        if self.claims {
            return true;
        }
        self.scope.is_some()
    }
}

/// More than this is no challenge that an issuer means.
#[cfg(feature = "client-credentials")]
const MOST_CLAIMS: usize = 4096;

/// A JSON object in base64, in either alphabet and with or without padding. `None` for anything else.
#[cfg(feature = "client-credentials")]
fn decode(claims: &str) -> Option<Claims> {
    use base64::{
        Engine,
        alphabet::{STANDARD, URL_SAFE},
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };

    if claims.len() > MOST_CLAIMS {
        return None;
    }
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    let decoded = [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(claims).ok())?;
    let decoded = String::from_utf8(decoded).ok()?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&decoded).ok()?;
    Some(decoded.into())
}

impl fmt::Debug for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("StepUp");
        #[cfg(feature = "client-credentials")]
        f.field("claims", &self.claims);
        f.field("scope", &self.scope.is_some()).finish()
    }
}
