//! Setters for the grant.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{
    client_credentials::{
        auth::Assertion,
        request::{Grant, GrantType, TypedToken},
    },
    error::TokenError,
    secret::Secret,
};

/// What entitles the client to a token.
impl<C> ClientCredentialsBuilder<C> {
    /// Sends another `grant_type` than `client_credentials`, for issuers that call it otherwise
    /// (Zoom's `account_credentials`, SAP Ariba's `openapi_2lo`) and for extension grants (RFC 6749
    /// section 4.5), whose parameters [`param`](Self::param) and
    /// [`secret_param`](Self::secret_param) add.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty one: see [`no_grant_type`](Self::no_grant_type).
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        let grant_type = grant_type.into();
        if grant_type.is_empty() {
            self.record_problem(TokenError::config(
                "the grant type is empty, name one or call `no_grant_type`",
            ));
        }
        self.request.grant_type = GrantType::Custom(grant_type);
        self
    }

    /// Sends no `grant_type`, for login endpoints that are not OAuth's.
    pub fn no_grant_type(mut self) -> Self {
        self.request.grant_type = GrantType::Omitted;
        self
    }

    /// Uses a JWT as the grant (RFC 7523 section 2.1), as Google's service accounts, Salesforce and
    /// DocuSign do. The assertion says for whom the token is.
    ///
    /// Authentication of the client is optional: with
    /// [`ClientAuth::none`](crate::ClientAuth::none) only `client_id` is sent, and nothing if that
    /// is empty.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with [`params_in_query`](Self::params_in_query)
    /// and [`legacy_get`](Self::legacy_get), and a second grant. An assertion with a space, control
    /// or non-ASCII characters is refused before it is sent.
    pub fn jwt_bearer_grant(mut self, assertion: impl Into<Assertion>) -> Self {
        self.grant(Grant::JwtBearer(assertion.into()));
        self
    }

    /// **Legacy:** uses the password grant (RFC 6749 section 4.3), which RFC 9700 section 2.4 says
    /// must not be used, for issuers that have nothing else.
    ///
    /// The same request is sent again when the token expires, so the password stays in memory. A
    /// public client, without a secret, goes with [`ClientAuth::none`](crate::ClientAuth::none).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty username, a second grant, and the grant together
    /// with [`params_in_query`](Self::params_in_query).
    pub fn legacy_password_grant(
        mut self,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Self {
        self.grant(Grant::Password { username: username.into(), password: password.into() });
        self
    }

    /// Exchanges another token for one (RFC 8693): that of a user, on whose behalf the service calls another
    /// one, or that of a workload, which Kubernetes, GitHub Actions or SPIFFE has issued.
    ///
    /// `subject_token_type` is one of the identifiers of section 3, such as
    /// `urn:ietf:params:oauth:token-type:access_token`, `:id_token` or `:jwt` after the last colon.
    /// [`param`](Self::param) adds `audience`, `resource` and `requested_token_type`,
    /// [`scope`](Self::scope) the scope. A subject token from a file or a closure is read for each
    /// request, so one that is renewed there stays good.
    ///
    /// Authentication of the client is optional: with [`ClientAuth::none`](crate::ClientAuth::none)
    /// only `client_id` is sent, and nothing if that is empty.
    ///
    /// With [`TokenCaches`](crate::guide::many_tokens) each user's token has a cache of its own:
    ///
    /// ```
    /// # fn request<C: Clone>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::ClientCredentials;
    ///
    /// const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// let credentials =
    ///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", "secret")
    ///         .param("audience", "https://invoices.example")
    ///         .build()?;
    /// let on_behalf_of = |user_token: &str| {
    ///     credentials.derive().token_exchange(user_token, ACCESS_TOKEN).build()
    /// };
    /// # on_behalf_of("abc")?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty type, a second grant, and it together with
    /// [`params_in_query`](Self::params_in_query) and [`legacy_get`](Self::legacy_get). A token that is no
    /// access token comes with another `token_type` than Bearer, and is refused.
    pub fn token_exchange(
        mut self,
        subject_token: impl Into<Secret>,
        subject_token_type: impl Into<String>,
    ) -> Self {
        let subject = self.typed(subject_token, subject_token_type);
        self.grant(Grant::TokenExchange { subject, actor: None });
        self
    }

    /// Names who acts for the subject of a [`token_exchange`](Self::token_exchange) (RFC 8693 section 2.1).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty type, and it before or without `token_exchange`.
    pub fn actor_token(
        mut self,
        actor_token: impl Into<Secret>,
        actor_token_type: impl Into<String>,
    ) -> Self {
        let typed = self.typed(actor_token, actor_token_type);
        match &mut self.request.grant {
            Grant::TokenExchange { actor, .. } => *actor = Some(typed),
            _ => self.record_problem(TokenError::config(
                "an actor token goes with a subject token, call `token_exchange` first",
            )),
        }
        self
    }

    fn typed(&mut self, token: impl Into<Secret>, token_type: impl Into<String>) -> TypedToken {
        let token_type = token_type.into();
        if token_type.is_empty() {
            self.record_problem(TokenError::config(
                "the type of a token to exchange is empty, pass an identifier such as \
                 `urn:ietf:params:oauth:token-type:jwt`",
            ));
        }
        TypedToken { token: token.into(), token_type }
    }

    fn grant(&mut self, grant: Grant) {
        if self.is_grant_chosen {
            self.record_problem(TokenError::config(
                "there are two grants, leave out all but one of `jwt_bearer_grant`, \
                 `token_exchange` and `legacy_password_grant`",
            ));
        }
        self.is_grant_chosen = true;
        self.request.grant = grant;
    }
}
