//! `ClientCredentialsConfig`: the fields of the configuration, and the builder that they describe.

use std::fmt;

use serde::Deserialize;

use super::{
    auth_fields::AuthFields,
    field_error::{invalid, missing, unused},
    field_setter::{FieldSetter, Sensitivity},
    secret_source::{self, text_or_file},
    value::Value,
};
use crate::{
    client_credentials::{
        builder::ClientCredentialsBuilder, credentials::ClientCredentials, message::Placement,
    },
    error::TokenError,
    secret::Secret,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Declares the struct, whose fields all may be absent, and lists them by their names.
macro_rules! fields {
    ($(#[$attribute:meta])* pub struct $name:ident { $($field:ident,)* }) => {
        $(#[$attribute])*
        pub struct $name {
            $(#[serde(default)] $field: Value,)*
        }

        impl $name {
            pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
                [$((stringify!($field), &self.$field)),*].into_iter()
            }

            pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Value)> {
                [$((stringify!($field), &mut self.$field)),*].into_iter()
            }
        }
    };
}

fields! {
    /// A token request as a file or the environment describes it.
    ///
    /// Any serde loader will do. The guide lists [the fields](crate::guide::configuration), and has
    /// [the TOML for many providers](crate::guide::providers). `Debug` shows no value. Several clients
    /// by name are a [`ClientsConfig`](crate::ClientsConfig).
    #[derive(Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ClientCredentialsConfig {
        token_endpoint,
        issuer,
        revocation_endpoint,
        mtls_endpoint_alias,
        pick_auth_method,
        client_id,
        client_id_file,
        grant_type,
        username,
        password,
        password_file,
        scope,
        scope_separator,
        audience,
        resource,
        params,
        secret_params,
        secret_param_files,
        headers,
        secret_headers,
        placement,
        client_id_in_body,
        client_id_name,
        client_secret_name,
        token_at,
        token_type_at,
        expires_in_at,
        expires_in_millis,
        zero_means_never,
        strict,
        token_prefix,
        dpop,
        accept_bearer,
        response_limit,
        allow_http,
        // What follows is `AuthFields`, whose fields serde would not check if it were flattened.
        token_endpoint_auth_method,
        client_secret,
        client_secret_file,
        authorization,
        authorization_file,
        assertion_file,
        client_assertion_type,
        private_key,
        private_key_file,
        alg,
        kid,
        assertion_audience,
        assertion_lifetime,
        assertion_claims,
    }
}

impl ClientCredentialsConfig {
    /// A builder that is set as the configuration says, for an HTTP client. Setters called on it go
    /// beyond that, for instance for what only code can say.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config), with the name of the field that is missing, malformed
    /// or of no use beside the others. No message has a value in it.
    pub fn builder<C>(self, client: C) -> Result<ClientCredentialsBuilder<C>, TokenError> {
        let mut auth_fields = AuthFields {
            method: self.token_endpoint_auth_method,
            client_secret: self.client_secret,
            client_secret_file: self.client_secret_file,
            authorization: self.authorization,
            authorization_file: self.authorization_file,
            assertion_file: self.assertion_file,
            client_assertion_type: self.client_assertion_type,
            private_key: self.private_key,
            private_key_file: self.private_key_file,
            alg: self.alg,
            kid: self.kid,
            audience: self.assertion_audience,
            lifetime: self.assertion_lifetime,
            claims: self.assertion_claims,
        };
        let auth = auth_fields.auth()?;
        let client_id =
            text_or_file(("client_id", self.client_id), ("client_id_file", self.client_id_file))?;
        let client_id = client_id.unwrap_or_else(|| "".into());
        let token_endpoint = self.token_endpoint.plain("token_endpoint")?;
        let mut setter = match (token_endpoint, self.issuer.plain("issuer")?) {
            (Some(url), None) => FieldSetter::of(
                ClientCredentials::builder(client, url, client_id, auth),
                "token_endpoint",
            ),
            (None, Some(issuer)) => FieldSetter::of(
                ClientCredentials::discover(client, issuer, client_id, auth),
                "issuer",
            ),
            (None, None) => Err(missing("token_endpoint` or `issuer")),
            (Some(_), Some(_)) => Err(TokenError::config(
                "`token_endpoint` and `issuer` are both given, leave one out",
            )),
        }?;

        let grant_type = self.grant_type.plain("grant_type")?;
        let username = self.username.plain("username")?;
        let password =
            text_or_file(("password", self.password), ("password_file", self.password_file))?;
        setter = match (grant_type.as_deref(), username, password) {
            (Some("password"), None, _) => return Err(missing("username")),
            (Some("password"), _, None) => return Err(missing("password` or `password_file")),
            (Some("password"), Some(username), Some(password)) => setter
                .set("username", |builder| builder.legacy_password_grant(username, password))?,
            (_, Some(_), _) => {
                return Err(unused("username", "without `grant_type = \"password\"`"));
            }
            (_, _, Some(_)) => {
                return Err(unused("password", "without `grant_type = \"password\"`"));
            }
            (Some(JWT_BEARER), ..) => {
                let assertion = auth_fields.assertion()?;
                setter.set("grant_type", |builder| builder.jwt_bearer_grant(assertion))?
            }
            (Some(""), ..) => setter.set("grant_type", ClientCredentialsBuilder::no_grant_type)?,
            (Some(other), ..) => setter.set("grant_type", |builder| builder.grant_type(other))?,
            (None, ..) => setter,
        };
        auth_fields.check_used_up()?;

        if let Some(separator) = self.scope_separator.plain("scope_separator")? {
            let mut chars = separator.chars();
            let (Some(separator), None) = (chars.next(), chars.next()) else {
                return Err(invalid("scope_separator", "is not one character"));
            };
            setter = setter.set("scope_separator", |builder| builder.scope_separator(separator))?;
        }
        if let Some(placement) = self.placement.plain("placement")? {
            let placement = match &*placement {
                "form" => Placement::Form,
                "json" => Placement::Json,
                "query" => Placement::Query,
                "legacy_get" => Placement::Get,
                _ => {
                    let why = "is none of `form`, `json`, `query` and `legacy_get`, write one";
                    return Err(invalid("placement", why));
                }
            };
            setter = setter.set("placement", |builder| builder.placement(placement))?;
        }
        if let Some(bytes) = self.response_limit.number("response_limit")? {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            setter = setter.set("response_limit", |builder| builder.response_limit(bytes))?;
        }
        setter = bound(setter, self.dpop, self.accept_bearer)?;
        let setter = setter
            .text("revocation_endpoint", self.revocation_endpoint, |builder, url| {
                builder.revocation_endpoint(url)
            })?
            .text("scope", self.scope, |builder, scope| builder.scope(scope))?
            .list("audience", self.audience)?
            .list("resource", self.resource)?
            .params("params", self.params)?
            .secret_params("secret_params", self.secret_params, Secret::from)?
            .secret_params("secret_param_files", self.secret_param_files, secret_source::file)?
            .headers("headers", self.headers, Sensitivity::Public)?
            .headers("secret_headers", self.secret_headers, Sensitivity::Sensitive)?
            .flag(
                "client_id_in_body",
                self.client_id_in_body,
                ClientCredentialsBuilder::client_id_in_body,
            )?
            .text("client_id_name", self.client_id_name, |builder, name| {
                builder.client_id_name(name)
            })?
            .text("client_secret_name", self.client_secret_name, |builder, name| {
                builder.client_secret_name(name)
            })?
            .text("token_at", self.token_at, |builder, at| builder.token_at(at))?
            .text("token_type_at", self.token_type_at, |builder, at| builder.token_type_at(at))?
            .text("expires_in_at", self.expires_in_at, |builder, at| builder.expires_in_at(at))?
            .flag(
                "expires_in_millis",
                self.expires_in_millis,
                ClientCredentialsBuilder::expires_in_millis,
            )?
            .flag(
                "zero_means_never",
                self.zero_means_never,
                ClientCredentialsBuilder::zero_means_never,
            )?
            .flag("strict", self.strict, ClientCredentialsBuilder::strict)?
            .text("token_prefix", self.token_prefix, |builder, prefix| {
                builder.token_prefix(prefix)
            })?
            .flag(
                "mtls_endpoint_alias",
                self.mtls_endpoint_alias,
                ClientCredentialsBuilder::mtls_endpoint_alias,
            )?
            .flag(
                "pick_auth_method",
                self.pick_auth_method,
                ClientCredentialsBuilder::pick_auth_method,
            )?
            .flag("allow_http", self.allow_http, ClientCredentialsBuilder::allow_http)?;
        Ok(setter.builder)
    }
}

#[cfg(feature = "dpop")]
fn bound<C>(
    mut setter: FieldSetter<C>,
    dpop: Value,
    accept_bearer: Value,
) -> Result<FieldSetter<C>, TokenError> {
    use crate::{dpop::DpopKey, jwt::JwtAlgorithm};

    if let Some(algorithm) = dpop.plain("dpop")? {
        let algorithm = JwtAlgorithm::named(&algorithm)
            .filter(|algorithm| matches!(algorithm, JwtAlgorithm::ES256 | JwtAlgorithm::EdDSA))
            .ok_or_else(|| invalid("dpop", "is neither `ES256` nor `EdDSA`, write one"))?;
        let key = DpopKey::generate(algorithm)?;
        setter = setter.set("dpop", |builder| builder.dpop(key))?;
    }
    setter.flag("accept_bearer", accept_bearer, ClientCredentialsBuilder::accept_bearer)
}

#[cfg(not(feature = "dpop"))]
fn bound<C>(
    setter: FieldSetter<C>,
    dpop: Value,
    accept_bearer: Value,
) -> Result<FieldSetter<C>, TokenError> {
    let why = "binds tokens only with the feature `dpop`, enable it";
    match (dpop.plain("dpop")?, accept_bearer.flag("accept_bearer")?) {
        (None, false) => Ok(setter),
        (Some(_), _) => Err(invalid("dpop", why)),
        (None, true) => Err(invalid("accept_bearer", why)),
    }
}

impl fmt::Debug for ClientCredentialsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsConfig").finish_non_exhaustive()
    }
}
