use std::{fmt, sync::Arc};

use crate::{
    client_credentials::{
        auth::{ClientAuth, Secret},
        credentials::ClientCredentials,
        endpoint::{Choice, Destination, Discovery, Endpoint, Issuer, Place, Transport, Wishes},
        message::Shape,
        request::TokenRequest,
        response::{Reading, Rigour},
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
    target: Result<Target, TokenError>,
    pub(crate) wishes: Wishes,
    problem: Option<TokenError>,
    pub(crate) request: TokenRequest,
    pub(crate) reading: Reading,
    pub(crate) response_limit: usize,
}

/// What the user named.
#[derive(Debug)]
enum Target {
    Endpoint(Endpoint),
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
        let target = Endpoint::parse(token_endpoint.as_ref()).map(Target::Endpoint);
        ClientCredentialsBuilder::new(client, target, client_id.into(), auth.into())
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
        let target = Issuer::parse(issuer.as_ref()).map(Target::Issuer);
        ClientCredentialsBuilder::new(client, target, client_id.into(), auth.into())
    }
}

impl<C> ClientCredentialsBuilder<C> {
    fn new(
        client: C,
        target: Result<Target, TokenError>,
        client_id: Secret,
        auth: ClientAuth,
    ) -> Self {
        Self {
            client,
            target,
            wishes: Wishes::default(),
            problem: None,
            request: TokenRequest::new(client_id, auth),
            reading: Reading::default(),
            response_limit: RESPONSE_LIMIT,
        }
    }

    /// Allows a token endpoint or an issuer over plain `http`, where anyone on the network can read the secret
    /// and the token. Not needed for loopback: `localhost`, `127.0.0.0/8` and `[::1]`.
    pub fn allow_http(mut self) -> Self {
        self.wishes.transport = Transport::Any;
        self
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
        let target = self.target?;
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let (endpoint, is_discovered) = match &target {
            Target::Endpoint(endpoint) => (endpoint, false),
            Target::Issuer(issuer) => (issuer.url(), true),
        };
        if self.wishes.transport == Transport::Confidential && !endpoint.is_confidential() {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the secret is not sent to {endpoint} over plain http, \
                     use https or call `allow_http`"
                ),
            ));
        }
        if self.wishes.needs_issuer() && !is_discovered {
            return Err(TokenError::config(
                "`mtls_endpoint_alias` and `pick_auth_method` go by the metadata of an issuer, \
                 start from `ClientCredentials::discover`",
            ));
        }
        if self.reading.rigour == Rigour::Strict && self.reading.is_particular() {
            return Err(TokenError::config(
                "`strict` wants answers as in RFC 6749, leave it out where a setter says that \
                 they are otherwise",
            ));
        }
        if self.wishes.method == Choice::Ours {
            self.request.check_names()?;
        }
        let Self { client, wishes, request, reading, response_limit, .. } = self;
        let destination = match target {
            Target::Endpoint(endpoint) => {
                let place = Place::at(endpoint);
                request.check(&place)?;
                Destination::Known(Arc::new(place))
            }
            Target::Issuer(issuer) => {
                request.check(&Place::at(issuer.url().clone()))?;
                Destination::Discovered(Box::new(Discovery::new(issuer, wishes)))
            }
        };
        Ok(ClientCredentials::new(client, destination, request, reading, response_limit))
    }

    /// The first problem is the one that is reported.
    pub(crate) fn keep(&mut self, problem: TokenError) {
        self.problem.get_or_insert(problem);
    }

    #[cfg(feature = "config")]
    pub(crate) fn problem(&self) -> Option<&TokenError> {
        self.target.as_ref().err().or(self.problem.as_ref())
    }

    pub(crate) fn shape(mut self, shape: Shape) -> Self {
        match (self.request.shape, shape) {
            (Shape::Json, Shape::Query | Shape::Get) | (Shape::Query | Shape::Get, Shape::Json) => {
                self.keep(TokenError::config(
                    "parameters are either in a JSON body or in the query, leave out `json_body` \
                     or `params_in_query` and `legacy_get`",
                ));
            }
            (Shape::Get, Shape::Query) => {}
            _ => self.request.shape = shape,
        }
        self
    }
}

impl<C> fmt::Debug for ClientCredentialsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsBuilder")
            .field("target", &self.target)
            .field("request", &self.request)
            .field("reading", &self.reading)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}
