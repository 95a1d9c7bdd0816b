//! HTTP Basic authentication of a client (RFC 6749 section 2.3.1, RFC 7617).

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;

use crate::error::TokenError;

pub(super) fn header(pair: &str) -> HeaderValue {
    let value = ["Basic ", &BASE64_STANDARD.encode(pair)].concat();
    let mut value = HeaderValue::try_from(value).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

pub(super) fn pair(client_id: &str, secret: &str) -> String {
    [client_id, ":", secret].concat()
}

pub(super) fn encoded_pair(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        encoded.replace('+', "%20")
    };
    pair(&encode(client_id), &encode(secret))
}

pub(super) fn check_unencoded(client_id: &str, secret: &str) -> Result<(), TokenError> {
    if client_id.contains(':') {
        return Err(TokenError::config(
            "a client id with a colon cannot be sent as unencoded Basic, \
             use `ClientAuth::basic` or `ClientAuth::post`",
        ));
    }
    if client_id.contains(char::is_control) || secret.contains(char::is_control) {
        return Err(TokenError::config(
            "a client id or secret with control characters cannot be sent as \
             unencoded Basic, use `ClientAuth::basic` or `ClientAuth::post`",
        ));
    }
    Ok(())
}
