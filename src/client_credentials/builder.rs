use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use secrecy::SecretString;

use super::{
    auth::ClientAuth,
    credentials::ClientCredentials,
    draft::Shape,
    endpoint::Endpoint,
    grant::Grant,
    params::{self, Params},
    request::TokenRequest,
};
use crate::error::{Kind, TokenError};

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
    endpoint: Result<Endpoint, TokenError>,
    client_id: String,
    auth: ClientAuth,
    grant: Grant,
    scope: Option<String>,
    params: Params,
    headers: HeaderMap,
    shape: Shape,
    allow_http: bool,
    response_limit: usize,
    problem: Option<TokenError>,
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
        client_id: impl Into<String>,
        auth: impl Into<ClientAuth>,
    ) -> ClientCredentialsBuilder<C> {
        ClientCredentialsBuilder {
            client,
            endpoint: Endpoint::parse(token_endpoint.as_ref()),
            client_id: client_id.into(),
            auth: auth.into(),
            grant: Grant::ClientCredentials,
            scope: None,
            params: Params::default(),
            headers: HeaderMap::new(),
            shape: Shape::Form,
            allow_http: false,
            response_limit: RESPONSE_LIMIT,
            problem: None,
        }
    }
}

impl<C> ClientCredentialsBuilder<C> {
    /// Asks for a scope (RFC 6749 section 3.3): words separated by spaces. By default, and for an
    /// empty one, none is sent and the issuer decides. Another call replaces it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses `"`, `\`, control and non-ASCII characters.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        match params::scope(&scope.into()) {
            Ok(scope) => self.scope = scope,
            Err(problem) => self.keep(problem),
        }
        self
    }

    /// Sends an additional parameter, such as `audience` or `resource` (RFC 8707). One with an
    /// empty value is not sent, since RFC 6749 section 3.2 takes it as omitted.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses the parameters that this builder sends by itself
    /// (`grant_type`, `scope`, and those that name or authenticate somebody), an empty name, a
    /// name given twice other than `resource` and `audience`, and a `resource` with a fragment.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Err(problem) = self.params.push(name.into(), value.into()) {
            self.keep(problem);
        }
        self
    }

    /// Sends a header, in place of the default one of that name and of an earlier call for it.
    ///
    /// The defaults are `Accept: application/json` and, where there is a form, `Content-Type:
    /// application/x-www-form-urlencoded`. Mark a secret value
    /// [sensitive](HeaderValue::set_sensitive), and it is kept out of errors as well. Answers in a
    /// `Content-Encoding` are refused, so ask for none unless the HTTP client decodes it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses `Authorization`, for which there is [`ClientAuth`], and
    /// `Content-Length` and `Transfer-Encoding`, which follow from the body.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == AUTHORIZATION {
            self.keep(TokenError::config(
                "`authorization` cannot be an extra header, choose a `ClientAuth`",
            ));
        } else if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            self.keep(TokenError::config(format!(
                "`{name}` cannot be an extra header, leave it to the HTTP client"
            )));
        } else {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends `grant_type` and all other parameters in the query of the URL, and a `POST` without
    /// a body and without `Content-Type`, as Certara Layar wants it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with [`ClientAuth::post`] and with
    /// [`legacy_password_grant`](Self::legacy_password_grant).
    pub fn params_in_query(mut self) -> Self {
        if self.shape == Shape::Form {
            self.shape = Shape::Query;
        }
        self
    }

    /// **Legacy:** sends a `GET` with all parameters in the query, which RFC 6749 section 3.2
    /// forbids.
    ///
    /// With [`ClientAuth::legacy_query`] or [`legacy_password_grant`](Self::legacy_password_grant)
    /// the secret is in the URL, and in the logs of every proxy and server on the way.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with [`ClientAuth::post`].
    pub fn legacy_get(mut self) -> Self {
        self.shape = Shape::Get;
        self
    }

    /// **Legacy:** uses the password grant (RFC 6749 section 4.3), which RFC 9700 section 2.4 says
    /// must not be used, for issuers that have nothing else.
    ///
    /// The same request is sent again when the token expires, so the password stays in memory. A
    /// public client, without a secret, goes with [`ClientAuth::none`].
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty username.
    pub fn legacy_password_grant(
        mut self,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.grant = Grant::Password { username: username.into(), password: password.into() };
        self
    }

    /// Allows a token endpoint over plain `http`, where anyone on the network can read the secret
    /// and the token. Not needed for loopback: `localhost`, `127.0.0.0/8` and `[::1]`.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The largest answer that is read, in bytes. The default is 1 MiB.
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// Checks it all. Nothing is sent before a token is asked for.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) for a token endpoint that is no `https` or `http`
    /// URL or has a fragment (RFC 6749 section 3.2) or a user in it, for an empty client id, for
    /// a parameter that is sent and is in the URL's query already, and for what the setters and
    /// [`ClientAuth`] list. [`is_insecure`](TokenError::is_insecure) for a token endpoint over
    /// plain `http`. No message has a secret or the URL's query in it.
    pub fn build(self) -> Result<ClientCredentials<C>, TokenError> {
        let endpoint = self.endpoint?;
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if !self.allow_http && !endpoint.is_confidential() {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the secret is not sent to {endpoint} over plain http, \
                     use https or call `allow_http`"
                ),
            ));
        }
        let request = TokenRequest {
            endpoint,
            client_id: self.client_id,
            auth: self.auth,
            grant: self.grant,
            scope: self.scope,
            params: self.params,
            headers: self.headers,
            shape: self.shape,
        };
        request.check()?;
        Ok(ClientCredentials::new(self.client, request, self.response_limit))
    }

    fn keep(&mut self, problem: TokenError) {
        self.problem.get_or_insert(problem);
    }
}

impl<C> fmt::Debug for ClientCredentialsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentialsBuilder")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .field("auth", &self.auth)
            .field("scope", &self.scope)
            .field("shape", &self.shape)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}
