//! `ClientCredentialsBuilder`: how it starts, and the checks of `build`.

use std::{fmt, sync::Arc};

use crate::{
    client_credentials::{
        auth::{ClientAuth, Secret},
        credentials::ClientCredentials,
        endpoint::{
            AuthMethodChoice, Discovery, EndpointOptions, EndpointSource, EndpointUrl, Issuer,
            ResolvedEndpoint, TransportSecurity,
        },
        request::TokenRequest,
        response::{ResponseOptions, Strictness},
    },
    error::{Kind, TokenError},
};

const RESPONSE_LIMIT: usize = 1024 * 1024;

/// Sets what is sent to the token endpoint.
///
/// [`ClientCredentials::builder`] starts one. Setters do not fail: the first problem is kept and
/// [`build`](Self::build) reports it. Parameters are sent in a fixed order: `grant_type`, those of
/// [`ClientAuth`], those of the grant, `scope`, then the additional ones as given.
///
/// ```
/// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
/// use tower_bearer::{ClientAuth, ClientCredentials};
///
/// let secret = ClientAuth::post("7Fjfp0ZBr1KtDRbnfVdmIw");
/// let credentials =
///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", secret)
///         .scope("orders:read orders:write")
///         .param("audience", "https://api.example")
///         .build()?;
/// # Ok(()) }
/// # request(()).unwrap();
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ClientCredentialsBuilder<C> {
    client: C,
    url: Result<ConfiguredUrl, TokenError>,
    pub(super) endpoint_options: EndpointOptions,
    problem: Option<TokenError>,
    pub(super) request: TokenRequest,
    pub(super) response_options: ResponseOptions,
    pub(super) response_limit: usize,
}

/// The URL that the user gave.
#[derive(Debug)]
enum ConfiguredUrl {
    TokenEndpoint(EndpointUrl),
    Issuer(Issuer),
}

impl<C> ClientCredentials<C> {
    /// Starts from what every token request needs: the HTTP client, the URL of the token endpoint
    /// (RFC 6749 section 3.2), and the client's id and secret. A bare secret is sent by
    /// [`ClientAuth::basic`].
    ///
    /// A query that the URL has is sent along, byte for byte.
    pub fn builder(
        client: C,
        token_endpoint: impl AsRef<str>,
        client_id: impl Into<Secret>,
        auth: impl Into<ClientAuth>,
    ) -> ClientCredentialsBuilder<C> {
        let url = EndpointUrl::parse(token_endpoint.as_ref()).map(ConfiguredUrl::TokenEndpoint);
        ClientCredentialsBuilder::new(client, url, client_id.into(), auth.into())
    }

    /// As [`builder`](Self::builder), with the issuer's identifier in place of the token endpoint.
    ///
    /// Before the first token request the issuer's metadata is read through the same client, from
    /// `/.well-known/oauth-authorization-server` between host and path (RFC 8414 section 3), or,
    /// if there is none, from `/.well-known/openid-configuration` after the path (OpenID Connect
    /// Discovery section 4). It is kept, and read again before the token request that follows a
    /// refused one or one without an answer.
    ///
    /// The fetch fails if the metadata is of another issuer: both have to be the same to the last
    /// slash. It fails if the token endpoint is not https, or if the issuer does not list how the
    /// client authenticates: nothing else is tried unless
    /// [`pick_auth_method`](ClientCredentialsBuilder::pick_auth_method) is called. The `aud` of
    /// an assertion is the issuer.
    ///
    /// ```
    /// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::ClientCredentials;
    ///
    /// let issuer = "https://sso.example.com/realms/main";
    /// let credentials = ClientCredentials::discover(client, issuer, "orders", "s3cr3t").build()?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](ClientCredentialsBuilder::build) refuses an issuer that is no URL, or has a query or
    /// a fragment.
    pub fn discover(
        client: C,
        issuer: impl AsRef<str>,
        client_id: impl Into<Secret>,
        auth: impl Into<ClientAuth>,
    ) -> ClientCredentialsBuilder<C> {
        let url = Issuer::parse(issuer.as_ref()).map(ConfiguredUrl::Issuer);
        ClientCredentialsBuilder::new(client, url, client_id.into(), auth.into())
    }
}

impl<C> ClientCredentialsBuilder<C> {
    fn new(
        client: C,
        url: Result<ConfiguredUrl, TokenError>,
        client_id: Secret,
        auth: ClientAuth,
    ) -> Self {
        Self {
            client,
            url,
            endpoint_options: EndpointOptions::default(),
            problem: None,
            request: TokenRequest::new(client_id, auth),
            response_options: ResponseOptions::default(),
            response_limit: RESPONSE_LIMIT,
        }
    }

    /// Checks it all. Nothing is sent before a token is asked for.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) for a token endpoint that is no `https` or `http`
    /// URL or has a fragment (RFC 6749 section 3.2) or a user in it, for an empty client id, for
    /// a parameter that is sent and is in the URL's query already, for one there that authenticates
    /// the client, and for what the setters and [`ClientAuth`] list.
    /// [`is_insecure`](TokenError::is_insecure) for a token endpoint over plain `http`. No message
    /// has a secret or the URL's query in it.
    pub fn build(self) -> Result<ClientCredentials<C>, TokenError> {
        let url = self.url?;
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let (endpoint, is_discovered) = match &url {
            ConfiguredUrl::TokenEndpoint(endpoint) => (endpoint, false),
            ConfiguredUrl::Issuer(issuer) => (issuer.url(), true),
        };
        if self.endpoint_options.transport_security == TransportSecurity::Required
            && !endpoint.is_confidential()
        {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the secret is not sent to {endpoint} over plain http, \
                     use https or call `allow_http`"
                ),
            ));
        }
        if self.endpoint_options.need_issuer() && !is_discovered {
            return Err(TokenError::config(
                "`mtls_endpoint_alias` and `pick_auth_method` go by the metadata of an issuer, \
                 start from `ClientCredentials::discover`",
            ));
        }
        if self.response_options.strictness == Strictness::Strict
            && self.response_options.differ_from_rfc()
        {
            return Err(TokenError::config(
                "`strict` wants answers as in RFC 6749, leave it out where a setter says that \
                 they are otherwise",
            ));
        }
        if self.endpoint_options.auth_method == AuthMethodChoice::Configured {
            self.request.check_names()?;
        }
        let Self { client, endpoint_options, request, response_options, response_limit, .. } = self;
        let endpoint_source = match url {
            ConfiguredUrl::TokenEndpoint(endpoint) => {
                let endpoint = ResolvedEndpoint::at(endpoint);
                request.check(&endpoint)?;
                EndpointSource::Fixed(Arc::new(endpoint))
            }
            ConfiguredUrl::Issuer(issuer) => {
                request.check(&ResolvedEndpoint::at(issuer.url().clone()))?;
                EndpointSource::Discovered(Box::new(Discovery::new(issuer, endpoint_options)))
            }
        };
        Ok(ClientCredentials::new(
            client,
            endpoint_source,
            request,
            response_options,
            response_limit,
        ))
    }

    /// Only the first problem is reported.
    pub(super) fn record_problem(&mut self, problem: TokenError) {
        self.problem.get_or_insert(problem);
    }

    #[cfg(feature = "config")]
    pub(crate) fn problem(&self) -> Option<&TokenError> {
        self.url.as_ref().err().or(self.problem.as_ref())
    }
}

impl<C> fmt::Debug for ClientCredentialsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsBuilder")
            .field("url", &self.url)
            .field("request", &self.request)
            .field("response_options", &self.response_options)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}
