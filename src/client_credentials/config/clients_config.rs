//! `ClientsConfig`: clients by name, and the credentials that they describe.

#[cfg(feature = "token-caches")]
use std::sync::Arc;
use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::client_credentials_config::ClientCredentialsConfig;
#[cfg(feature = "token-caches")]
use crate::{client_credentials::message::HttpClient, tokens::TokenCaches};
use crate::{
    client_credentials::{
        builder::ClientCredentialsBuilder, credentials::ClientCredentials, endpoint::EndpointSource,
    },
    error::TokenError,
};

/// Clients by name, as a file or the environment describes them.
///
/// Each of the `clients` has the fields of a [`ClientCredentialsConfig`]. What all have in common can
/// stand in `defaults`, which is of the same form. A client's own field is used in place of the default.
///
/// No client inherits a secret that may be another's. One that has a `token_endpoint`, an `issuer`, a
/// `client_id`, a `client_id_file` or a `token_endpoint_auth_method` of its own takes no secret from the
/// defaults, and none of the fields that go with one. [The guide](crate::guide::configuration) lists them.
///
/// ```
/// use tower_bearer::{ClientsConfig, TokenCache};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: ClientsConfig = toml::from_str(
///     r#"
///     [defaults]
///     issuer = "https://issuer.example"
///     client_id = "gateway"
///     client_secret_file = "/run/secrets/issuer"
///
///     [clients.orders]
///     audience = "https://orders.example"
///
///     [clients.billing]
///     audience = "https://billing.example"
///     "#,
/// )?;
/// # let https = hyper_util::client::legacy::connect::HttpConnector::new();
/// # let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
/// #     .build(https);
/// let mut credentials = config.build(client)?;
/// let orders = TokenCache::new(credentials.remove("orders").ok_or("no client for orders")?);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// A loader refuses a field that is not known, and says in which client it is, and a name that is there
/// twice. `Debug` shows neither names nor values.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientsConfig {
    #[serde(default)]
    defaults: Option<ClientCredentialsConfig>,
    #[serde(deserialize_with = "clients")]
    clients: BTreeMap<String, ClientCredentialsConfig>,
}

impl ClientsConfig {
    /// The credentials of each client, by its name, for an HTTP client that all of them use. Nothing is
    /// sent.
    ///
    /// Clients of the same `issuer` share its metadata, as [copies](ClientCredentials::derive) do.
    /// [`derive`](ClientCredentials::derive) also goes on where the configuration ends.
    ///
    /// # Errors
    ///
    /// What [`ClientCredentialsConfig::builder`] and
    /// [`build`](crate::ClientCredentialsBuilder::build) refuse, with the client's name in front:
    /// `` `clients.orders`: .. ``. The first problem is reported, in the order of the names.
    pub fn build<C: Clone>(
        self,
        client: C,
    ) -> Result<BTreeMap<String, ClientCredentials<C>>, TokenError> {
        let mut issuers = BTreeMap::new();
        let mut credentials = BTreeMap::new();
        for (name, mut config) in self.clients {
            if let Some(defaults) = &self.defaults {
                config.fields.inherit(&defaults.fields);
            }
            let builder = config.builder(client.clone());
            let built = builder.and_then(|builder| share_metadata(builder, &mut issuers).build());
            let built = built.map_err(|problem| problem.in_field(&field(&name)))?;
            credentials.insert(name, built);
        }
        Ok(credentials)
    }

    /// A cache for each client by its name, for [`BearerAuthLayer::select`](crate::BearerAuthLayer::select).
    ///
    /// A name that is not in the configuration is an error that [`is_config`](TokenError::is_config).
    ///
    /// # Errors
    ///
    /// As for [`build`](Self::build).
    #[cfg(feature = "token-caches")]
    pub fn token_caches<C: HttpClient>(self, client: C) -> Result<TokenCaches<String>, TokenError> {
        let clients = self.build(client)?;
        let clients: BTreeMap<_, _> =
            clients.into_iter().map(|(name, client)| (name, Arc::new(client))).collect();
        let builder = TokenCaches::builder().capacity(clients.len().max(1_000));
        Ok(builder.build(move |name: &String| {
            clients.get(name).cloned().ok_or_else(|| {
                let name = name.escape_debug();
                TokenError::config(format!(
                    "no client `{name}` is configured, add `clients.{name}`"
                ))
            })
        }))
    }
}

/// Clients of one issuer read its metadata from one place, which the first of them is made with.
fn share_metadata<C>(
    builder: ClientCredentialsBuilder<C>,
    issuers: &mut BTreeMap<String, EndpointSource>,
) -> ClientCredentialsBuilder<C> {
    builder.change(|ClientCredentials { endpoint_source, .. }| {
        if let EndpointSource::Discovered(discovered) = endpoint_source {
            let issuer = discovered.issuer().identifier().to_owned();
            let shared = issuers.entry(issuer).or_insert_with(|| endpoint_source.derive());
            *endpoint_source = shared.derive();
        }
    })
}

fn field(name: &str) -> String {
    format!("clients.{name}")
}

fn clients<'de, D>(deserializer: D) -> Result<BTreeMap<String, ClientCredentialsConfig>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(ClientsVisitor)
}

/// Names the client in an error about one.
struct ClientsVisitor;

impl<'de> Visitor<'de> for ClientsVisitor {
    type Value = BTreeMap<String, ClientCredentialsConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of clients by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut clients = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            let at = field(&name);
            let at = at.escape_debug();
            let client = members
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("`{at}`: {error}")))?;
            if clients.insert(name, client).is_some() {
                return Err(A::Error::custom(format_args!("`{at}`: the name is there twice")));
            }
        }
        Ok(clients)
    }
}

impl fmt::Debug for ClientsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientsConfig").finish_non_exhaustive()
    }
}
