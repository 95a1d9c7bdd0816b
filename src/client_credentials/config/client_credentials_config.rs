//! `ClientCredentialsConfig`: the configuration of one client, and the builder that it describes.

use std::fmt;

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    auth::{client_auth, grant},
    fields::{Fields, both, missing, unused},
    value::{Value, invalid},
};
use crate::{
    client_credentials::{
        builder::ClientCredentialsBuilder, credentials::ClientCredentials, message::Placement,
    },
    error::TokenError,
    secret::Secret,
};

type Builder<C> = ClientCredentialsBuilder<C>;

/// A token request as a file or the environment describes it.
///
/// Any serde loader will do. The guide lists [the fields](crate::guide::configuration), and has
/// [the TOML for many providers](crate::guide::providers). `Debug` shows no value. Several clients
/// by name are a [`ClientsConfig`](crate::ClientsConfig).
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ClientCredentialsConfig {
    pub(super) fields: Fields,
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
        let mut fields = self.fields;
        let builder = start(&mut fields, client)?;
        let Setter { fields, builder } = Setter { fields, builder }
            .set("revocation_endpoint", Value::plain, Builder::revocation_endpoint)?
            .set("allow_http", Value::flag, Builder::allow_http)?
            .set("mtls_endpoint_alias", Value::flag, Builder::mtls_endpoint_alias)?
            .set("pick_auth_method", Value::flag, Builder::pick_auth_method)?
            .set("scope", Value::plain, Builder::scope)?
            .set("scope_separator", character, Builder::scope_separator)?
            .set("audience", Value::list, |builder, text| builder.param("audience", text))?
            .set("resource", Value::list, |builder, text| builder.param("resource", text))?
            .set("params", Value::table, |builder, (name, text)| {
                builder.param(name, text.expose_secret())
            })?
            .set("secret_params", Value::table, |builder, (name, text)| {
                builder.secret_param(name, text)
            })?
            .set("secret_param_files", Value::table, |builder, (name, path)| {
                builder.secret_param(name, Secret::file(path.expose_secret()))
            })?
            .headers("headers", |_| {})?
            .headers("secret_headers", |value| value.set_sensitive(true))?
            .set("placement", placement, Builder::placement)?
            .set("token_at", Value::plain, Builder::token_at)?
            .set("token_type_at", Value::plain, Builder::token_type_at)?
            .set("expires_in_at", Value::plain, Builder::expires_in_at)?
            .set("expires_in_millis", Value::flag, Builder::expires_in_millis)?
            .set("zero_means_never", Value::flag, Builder::zero_means_never)?
            .set("strict", Value::flag, Builder::strict)?
            .set("token_prefix", Value::plain, Builder::token_prefix)?
            .set("response_limit", bytes, Builder::response_limit)?;
        fields.check_used_up()?;
        Ok(builder)
    }
}

/// Who asks whom for what.
fn start<C>(fields: &mut Fields, client: C) -> Result<Builder<C>, TokenError> {
    let auth = client_auth(fields)?;
    let client_id = fields.take_secret("client_id", "client_id_file")?;
    let client_id = client_id.unwrap_or_else(|| "".into());
    let token_endpoint = fields.take("token_endpoint", Value::plain)?;
    let builder = match (token_endpoint, fields.take("issuer", Value::plain)?) {
        (Some(url), None) => {
            of_field("token_endpoint", ClientCredentials::builder(client, url, client_id, auth))
        }
        (None, Some(issuer)) => {
            of_field("issuer", ClientCredentials::discover(client, issuer, client_id, auth))
        }
        (None, None) => Err(missing("token_endpoint` or `issuer")),
        (Some(_), Some(_)) => Err(both("token_endpoint", "issuer")),
    }?;
    let builder = builder.grant(grant(fields)?);
    let accept_bearer = fields.take("accept_bearer", Value::flag)? == Some(true);
    match fields.take("dpop", Value::plain)? {
        Some(algorithm) => bind(builder, &algorithm, accept_bearer),
        None if accept_bearer => Err(unused("accept_bearer", "without `dpop`")),
        None => Ok(builder),
    }
}

/// The builder, or its problem with the name of the field that caused it.
fn of_field<C>(field: &str, builder: Builder<C>) -> Result<Builder<C>, TokenError> {
    match builder.credentials {
        Err(problem) => Err(problem.in_field(field)),
        credentials => Ok(Builder { credentials }),
    }
}

/// Calls setters of the builder with values of the fields.
struct Setter<C> {
    fields: Fields,
    builder: Builder<C>,
}

impl<C> Setter<C> {
    fn set<T, V: IntoIterator<Item = T>>(
        mut self,
        field: &'static str,
        read: impl FnOnce(Value, &str) -> Result<V, TokenError>,
        set: impl Fn(Builder<C>, T) -> Builder<C>,
    ) -> Result<Self, TokenError> {
        for value in self.fields.take(field, read)? {
            self.builder = of_field(field, set(self.builder, value))?;
        }
        Ok(self)
    }

    fn headers(
        mut self,
        field: &'static str,
        mark: impl Fn(&mut HeaderValue),
    ) -> Result<Self, TokenError> {
        for (name, text) in self.fields.take(field, Value::table)? {
            let at = format!("{field}.{name}");
            let name = HeaderName::try_from(name);
            let name = name.map_err(|_| invalid(&at, "is not the name of a header"))?;
            let value = HeaderValue::try_from(text.expose_secret());
            let mut value =
                value.map_err(|_| invalid(&at, "has a character that no header can have"))?;
            mark(&mut value);
            self.builder = of_field(&at, self.builder.header(name, value))?;
        }
        Ok(self)
    }
}

fn character(value: Value, field: &str) -> Result<Option<char>, TokenError> {
    let Some(text) = value.plain(field)? else { return Ok(None) };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(character), None) => Ok(Some(character)),
        _ => Err(invalid(field, "is not one character")),
    }
}

fn placement(value: Value, field: &str) -> Result<Option<Placement>, TokenError> {
    Ok(Some(match value.plain(field)?.as_deref() {
        None => return Ok(None),
        Some("form") => Placement::Form,
        Some("json") => Placement::Json,
        Some("query") => Placement::Query,
        Some("legacy_get") => Placement::LegacyGet,
        Some(_) => {
            let why = "is none of `form`, `json`, `query` and `legacy_get`, write one";
            return Err(invalid(field, why));
        }
    }))
}

fn bytes(value: Value, field: &str) -> Result<Option<usize>, TokenError> {
    let bytes = value.number(field)?;
    Ok(bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)))
}

#[cfg(feature = "dpop")]
fn bind<C>(
    builder: Builder<C>,
    algorithm: &str,
    accept_bearer: bool,
) -> Result<Builder<C>, TokenError> {
    use crate::{client_credentials::Dpop, dpop::DpopKey, jwt::JwtAlgorithm};

    let algorithm = JwtAlgorithm::named(algorithm)
        .filter(|algorithm| matches!(algorithm, JwtAlgorithm::ES256 | JwtAlgorithm::EdDSA))
        .ok_or_else(|| invalid("dpop", "is neither `ES256` nor `EdDSA`, write one"))?;
    let dpop = Dpop::new(DpopKey::generate(algorithm)?);
    Ok(builder.dpop(if accept_bearer { dpop.accept_bearer() } else { dpop }))
}

#[cfg(not(feature = "dpop"))]
fn bind<C>(_: Builder<C>, _: &str, _: bool) -> Result<Builder<C>, TokenError> {
    Err(invalid("dpop", "binds tokens only with the feature `dpop`, enable it"))
}

impl fmt::Debug for ClientCredentialsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsConfig").finish_non_exhaustive()
    }
}
