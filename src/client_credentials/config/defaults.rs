//! What a client of a list takes from the list's defaults.

use super::client_credentials_config::ClientCredentialsConfig;

/// Fields of which a client has one at most.
const ALTERNATIVES: [(&str, &str); 6] = [
    ("token_endpoint", "issuer"),
    ("client_id", "client_id_file"),
    ("client_secret", "client_secret_file"),
    ("authorization", "authorization_file"),
    ("private_key", "private_key_file"),
    ("password", "password_file"),
];

/// Fields that say who the client is, and to whom.
const IDENTITY: [&str; 5] =
    ["token_endpoint", "issuer", "client_id", "client_id_file", "token_endpoint_auth_method"];

/// Fields that hold a secret, go with one, or say where one is sent.
const SECRETS: [&str; 19] = [
    "client_secret",
    "client_secret_file",
    "authorization",
    "authorization_file",
    "assertion_file",
    "client_assertion_type",
    "private_key",
    "private_key_file",
    "alg",
    "kid",
    "assertion_audience",
    "assertion_lifetime",
    "assertion_claims",
    "password",
    "password_file",
    "secret_params",
    "secret_param_files",
    "secret_headers",
    "revocation_endpoint",
];

/// Fills in the fields that the client does not have.
///
/// A secret is for one client at one issuer. A client that says of itself who it is gets none, so that
/// a forgotten field does not send a secret elsewhere.
pub(super) fn inherit(client: &mut ClientCredentialsConfig, defaults: &ClientCredentialsConfig) {
    let given: Vec<&str> =
        client.fields().filter(|(_, value)| !value.is_absent()).map(|(name, _)| name).collect();
    let has_identity = IDENTITY.iter().any(|name| given.contains(name));
    for ((name, value), (_, default)) in client.fields_mut().zip(defaults.fields()) {
        let is_kept_back = has_identity && SECRETS.contains(&name)
            || alternative(name).is_some_and(|other| given.contains(&other));
        if value.is_absent() && !is_kept_back {
            *value = default.clone();
        }
    }
}

fn alternative(field: &str) -> Option<&'static str> {
    let other = |&(one, other)| {
        if field == one { Some(other) } else { (field == other).then_some(one) }
    };
    ALTERNATIVES.iter().find_map(other)
}
