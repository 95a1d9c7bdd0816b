//! The claims that an API asks for in its challenge, as Entra's continuous access evaluation does.

use std::sync::Arc;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;

use super::challenge::bearer_param;

/// More than this is no challenge that an issuer means.
const MOST_CLAIMS: usize = 4096;

/// The claims of a Bearer challenge with the error `insufficient_claims`: a JSON object in base64, in either
/// alphabet and with or without padding. `None` for anything else.
pub(crate) fn wanted_claims(headers: &HeaderMap) -> Option<Arc<str>> {
    let claims = bearer_param(headers, "insufficient_claims", "claims")?;
    if claims.len() > MOST_CLAIMS {
        return None;
    }
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    let decoded = [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(&claims).ok())?;
    let decoded = String::from_utf8(decoded).ok()?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&decoded).ok()?;
    Some(decoded.into())
}
