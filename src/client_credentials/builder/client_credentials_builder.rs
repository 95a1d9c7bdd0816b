//! `ClientCredentialsBuilder`: how it starts, and the checks of `build`.

use std::{fmt, sync::Arc};

use crate::{
    client_credentials::{
        auth::ClientAuth,
        credentials::ClientCredentials,
        endpoint::{
            AuthMethodChoice, DiscoveredEndpoint, Discovery, EndpointOptions, EndpointSource,
            EndpointUrl, Issuer, ResolvedEndpoint, TransportSecurity,
        },
        message::Placement,
        request::TokenRequest,
        response::{ResponseOptions, Strictness},
    },
    error::{Kind, TokenError},
    secret::Secret,
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
    pub(super) revocation_endpoint: Option<EndpointUrl>,
    problem: Option<TokenError>,
    pub(super) request: TokenRequest,
    /// The setters that exclude each other were called on this very builder.
    pub(super) is_grant_chosen: bool,
    pub(super) chosen_placement: Option<Placement>,
    pub(super) response_options: ResponseOptions,
    pub(super) response_limit: usize,
}

/// What the URL that the user gave stands for.
#[derive(Debug)]
enum ConfiguredUrl {
    TokenEndpoint(Arc<ResolvedEndpoint>),
    Issuer(Arc<Discovery>),
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
        let url = EndpointUrl::parse(token_endpoint.as_ref())
            .map(|url| ConfiguredUrl::TokenEndpoint(Arc::new(ResolvedEndpoint::at(url))));
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
        let url = Issuer::parse(issuer.as_ref())
            .map(|issuer| ConfiguredUrl::Issuer(Arc::new(Discovery::new(issuer))));
        ClientCredentialsBuilder::new(client, url, client_id.into(), auth.into())
    }

    /// Starts from all that these credentials were built with, for a copy that differs in a few
    /// things: in the scope or the audience for another API, in the
    /// [client](ClientCredentialsBuilder::client) for another tenant.
    ///
    /// A setter replaces what the copy would have had of it. [`param`](ClientCredentialsBuilder::param)
    /// and [`secret_param`](ClientCredentialsBuilder::secret_param) replace all parameters of that name
    /// that come from here, so the first call for `audience` replaces and a second one adds. With an
    /// empty value `param` leaves the parameter out. What has no setter for its opposite, such as
    /// [`strict`](ClientCredentialsBuilder::strict), stays.
    ///
    /// Copies share the metadata of an [issuer](Self::discover), the texts of secrets, and whatever
    /// clones of the HTTP client share. Metadata that one of them has read is used by all that it suits,
    /// and copies that need it at once wait for one request. What one copy meets is not held against
    /// another: a refused token request makes only the copy that sent it look for newer metadata.
    ///
    /// ```
    /// # fn request<C: Clone>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::ClientCredentials;
    ///
    /// let issuer = "https://sso.example.com/realms/main";
    /// let credentials = ClientCredentials::discover(client, issuer, "gateway", "s3cr3t").build()?;
    ///
    /// let orders = credentials.derive().param("audience", "https://orders.example").build()?;
    /// let tenant = credentials.derive().client("tenant-7", "7Fjfp0ZBr1KtDRbnfVdmIw").build()?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    pub fn derive(&self) -> ClientCredentialsBuilder<C>
    where
        C: Clone,
    {
        let url = match &self.endpoint_source {
            EndpointSource::Fixed { endpoint, .. } => {
                ConfiguredUrl::TokenEndpoint(endpoint.clone())
            }
            EndpointSource::Discovered(discovered) => {
                ConfiguredUrl::Issuer(discovered.discovery().clone())
            }
        };
        ClientCredentialsBuilder {
            client: self.client(),
            url: Ok(url),
            endpoint_options: self.endpoint_source.options(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            problem: None,
            request: self.request.derive(),
            is_grant_chosen: false,
            chosen_placement: None,
            response_options: self.response_options.clone(),
            response_limit: self.response_limit,
        }
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
            revocation_endpoint: None,
            problem: None,
            request: TokenRequest::new(client_id, auth),
            is_grant_chosen: false,
            chosen_placement: None,
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
            ConfiguredUrl::TokenEndpoint(endpoint) => (&endpoint.url, false),
            ConfiguredUrl::Issuer(discovery) => (discovery.issuer().url(), true),
        };
        if self.endpoint_options.transport_security == TransportSecurity::Required {
            let all = [Some(endpoint), self.revocation_endpoint.as_ref()];
            if let Some(endpoint) = all.into_iter().flatten().find(|url| !url.is_confidential()) {
                return Err(TokenError::new(
                    Kind::Insecure,
                    format!(
                        "the secret is not sent to {endpoint} over plain http, \
                         use https or call `allow_http`"
                    ),
                ));
            }
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
        if self.request.binding.is_some() && self.response_options.prefix.is_some() {
            return Err(TokenError::config(
                "`token_prefix` is for tokens that are not bound, leave it out or leave out `dpop`",
            ));
        }
        if self.endpoint_options.auth_method == AuthMethodChoice::Configured {
            self.request.check_names()?;
        }
        let Self {
            client,
            endpoint_options,
            revocation_endpoint,
            request,
            response_options,
            response_limit,
            ..
        } = self;
        let endpoint_source = match url {
            ConfiguredUrl::TokenEndpoint(endpoint) => {
                request.check(&endpoint)?;
                EndpointSource::Fixed { endpoint, options: endpoint_options }
            }
            ConfiguredUrl::Issuer(discovery) => {
                request.check(&ResolvedEndpoint::at(discovery.issuer().url().clone()))?;
                let discovered = DiscoveredEndpoint::new(discovery, endpoint_options);
                EndpointSource::Discovered(Box::new(discovered))
            }
        };
        Ok(ClientCredentials::new(
            client,
            endpoint_source,
            revocation_endpoint,
            request,
            response_options,
            response_limit,
        ))
    }

    /// Only the first problem is reported.
    pub(super) fn record_problem(&mut self, problem: TokenError) {
        self.problem.get_or_insert(problem);
    }

    /// Uses the metadata of one of these for the same issuer, or is itself one of them from now on.
    pub(crate) fn share_discovery(&mut self, shared: &mut Vec<Arc<Discovery>>) {
        let Ok(ConfiguredUrl::Issuer(discovery)) = &mut self.url else { return };
        let issuer = discovery.issuer().identifier();
        match shared.iter().find(|other| other.issuer().identifier() == issuer) {
            Some(other) => *discovery = other.clone(),
            None => shared.push(discovery.clone()),
        }
    }

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
