//! `ClientCredentialsBuilder`: how it starts, and the checks of `build`.

use std::{fmt, sync::Mutex};

use crate::{
    client_credentials::{
        auth::ClientAuth,
        credentials::ClientCredentials,
        endpoint::{EndpointOptions, EndpointSource, ResolvedEndpoint},
        request::TokenRequest,
        response::ResponseOptions,
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
    /// What is built, or the first problem.
    pub(in crate::client_credentials) credentials: Result<ClientCredentials<C>, TokenError>,
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
        let source = EndpointSource::at(token_endpoint.as_ref());
        ClientCredentialsBuilder::new(client, source, client_id.into(), auth.into())
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
        let source = EndpointSource::of_issuer(issuer.as_ref());
        ClientCredentialsBuilder::new(client, source, client_id.into(), auth.into())
    }

    /// Starts from all that these credentials were built with, for a copy that differs in a few
    /// things: in the scope or the audience for another API, in the
    /// [client](ClientCredentialsBuilder::client) for another tenant.
    ///
    /// A setter replaces what the copy would have had of it. [`param`](ClientCredentialsBuilder::param)
    /// and [`secret_param`](ClientCredentialsBuilder::secret_param) replace all parameters of that name
    /// that come from here, so the first call for `audience` replaces and a second one adds. With an
    /// empty value `param` leaves the parameter out.
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
        ClientCredentialsBuilder {
            credentials: Ok(ClientCredentials {
                client: Mutex::new(self.client()),
                endpoint_source: self.endpoint_source.derive(),
                endpoint_options: self.endpoint_options,
                revocation_endpoint: self.revocation_endpoint.clone(),
                request: self.request.derive(),
                response_options: self.response_options.clone(),
                response_limit: self.response_limit,
            }),
        }
    }

    fn check(&self) -> Result<(), TokenError> {
        if !self.endpoint_options.allow_http {
            let all = [Some(self.endpoint_source.url()), self.revocation_endpoint.as_ref()];
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
        let EndpointOptions { mtls_endpoint_alias, pick_auth_method, .. } = self.endpoint_options;
        let is_fixed = matches!(self.endpoint_source, EndpointSource::Fixed(_));
        if is_fixed && (mtls_endpoint_alias || pick_auth_method) {
            return Err(TokenError::config(
                "`mtls_endpoint_alias` and `pick_auth_method` go by the metadata of an issuer, \
                 start from `ClientCredentials::discover`",
            ));
        }
        if self.request.binding.is_some() && self.response_options.prefix.is_some() {
            return Err(TokenError::config(
                "`token_prefix` is for tokens that are not bound, leave it out or leave out `dpop`",
            ));
        }
        if !pick_auth_method {
            self.request.auth.check_names()?;
        }
        self.request.check(&ResolvedEndpoint::at(self.endpoint_source.url().clone()))
    }
}

impl<C> ClientCredentialsBuilder<C> {
    fn new(
        client: C,
        endpoint_source: Result<EndpointSource, TokenError>,
        client_id: Secret,
        auth: ClientAuth,
    ) -> Self {
        let credentials = endpoint_source.map(|endpoint_source| ClientCredentials {
            client: Mutex::new(client),
            endpoint_source,
            endpoint_options: EndpointOptions::default(),
            revocation_endpoint: None,
            request: TokenRequest::new(client_id, auth),
            response_options: ResponseOptions::default(),
            response_limit: RESPONSE_LIMIT,
        });
        Self { credentials }
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
        let credentials = self.credentials?;
        credentials.check()?;
        Ok(credentials)
    }

    pub(in crate::client_credentials) fn change(
        self,
        change: impl FnOnce(&mut ClientCredentials<C>),
    ) -> Self {
        Self {
            credentials: self.credentials.map(|mut credentials| {
                change(&mut credentials);
                credentials
            }),
        }
    }

    /// Does nothing after the first problem, which is the one that is reported.
    pub(super) fn set(
        self,
        set: impl FnOnce(&mut ClientCredentials<C>) -> Result<(), TokenError>,
    ) -> Self {
        let credentials = self.credentials.and_then(|mut credentials| {
            set(&mut credentials)?;
            Ok(credentials)
        });
        Self { credentials }
    }
}

impl<C> fmt::Debug for ClientCredentialsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCredentialsBuilder").field(&self.credentials).finish()
    }
}
