//! `Grant`: the authorization grant of a token request (RFC 6749 section 1.3).

use std::{borrow::Cow, fmt};

use crate::{
    client_credentials::{
        auth::Assertion,
        message::{Placement, RequestContext, RequestParts},
    },
    error::TokenError,
    secret::Secret,
};

/// What entitles the client to a token (RFC 6749 section 1.3), for
/// [`grant`](crate::ClientCredentialsBuilder::grant).
///
/// `Debug` shows the `grant_type` alone.
#[derive(Clone)]
pub struct Grant {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// What the client itself may do.
    Client {
        grant_type: Option<Cow<'static, str>>,
    },
    Password {
        username: String,
        password: Secret,
    },
    JwtBearer(Assertion),
    TokenExchange(TokenExchange),
}

impl Grant {
    /// The client's own rights (RFC 6749 section 4.4): the default.
    pub fn client_credentials() -> Self {
        Kind::Client { grant_type: Some("client_credentials".into()) }.into()
    }

    /// Another `grant_type` than `client_credentials`, for issuers that call it otherwise (Zoom's
    /// `account_credentials`, SAP Ariba's `openapi_2lo`) and for extension grants (RFC 6749 section 4.5), whose
    /// parameters [`param`](crate::ClientCredentialsBuilder::param) and
    /// [`secret_param`](crate::ClientCredentialsBuilder::secret_param) add.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an empty one: see
    /// [`without_type`](Self::without_type).
    pub fn of_type(grant_type: impl Into<String>) -> Self {
        Kind::Client { grant_type: Some(grant_type.into().into()) }.into()
    }

    /// No `grant_type`, for login endpoints that are not OAuth's.
    pub fn without_type() -> Self {
        Kind::Client { grant_type: None }.into()
    }

    /// A JWT (RFC 7523 section 2.1), as Google's service accounts, Salesforce and DocuSign use it. The assertion
    /// says for whom the token is.
    ///
    /// Authentication of the client is optional: with [`ClientAuth::none`](crate::ClientAuth::none) only
    /// `client_id` is sent, and nothing if that is empty.
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with [`Placement::Query`] and
    /// [`Placement::LegacyGet`]. An assertion with a space, control or non-ASCII characters is refused before it is
    /// sent.
    pub fn jwt_bearer(assertion: impl Into<Assertion>) -> Self {
        Kind::JwtBearer(assertion.into()).into()
    }

    /// **Legacy:** the password grant (RFC 6749 section 4.3), which RFC 9700 section 2.4 says must not be used, for
    /// issuers that have nothing else.
    ///
    /// The same request is sent again when the token expires, so the password stays in memory. A public client,
    /// without a secret, goes with [`ClientAuth::none`](crate::ClientAuth::none).
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an empty username, and the grant together with
    /// [`Placement::Query`].
    pub fn legacy_password(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Kind::Password { username: username.into(), password: password.into() }.into()
    }

    /// Another token, which is exchanged for one (RFC 8693): that of a user, on whose behalf the service calls
    /// another one, or that of a workload, which Kubernetes, GitHub Actions or SPIFFE has issued.
    ///
    /// `subject_token_type` is one of the identifiers of section 3, such as
    /// `urn:ietf:params:oauth:token-type:access_token`, `:id_token` or `:jwt` after the last colon.
    /// [`param`](crate::ClientCredentialsBuilder::param) adds `audience`, `resource` and `requested_token_type`,
    /// [`scope`](crate::ClientCredentialsBuilder::scope) the scope. A subject token from a file or a closure is read
    /// for each request, so one that is renewed there stays good.
    ///
    /// Authentication of the client is optional: with [`ClientAuth::none`](crate::ClientAuth::none) only
    /// `client_id` is sent, and nothing if that is empty.
    ///
    /// With [`TokenCaches`](crate::guide::many_tokens) each user's token has a cache of its own:
    ///
    /// ```
    /// # fn request<C: Clone>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::{ClientCredentials, Grant};
    ///
    /// const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// let credentials =
    ///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", "secret")
    ///         .param("audience", "https://invoices.example")
    ///         .build()?;
    /// let on_behalf_of = |user_token: &str| {
    ///     credentials.derive().grant(Grant::token_exchange(user_token, ACCESS_TOKEN)).build()
    /// };
    /// # on_behalf_of("abc")?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an empty type, and it together with
    /// [`Placement::Query`] and [`Placement::LegacyGet`]. A token that is no access token comes with another
    /// `token_type` than Bearer, and is refused.
    pub fn token_exchange(
        subject_token: impl Into<Secret>,
        subject_token_type: impl Into<String>,
    ) -> TokenExchange {
        let subject =
            TypedToken { token: subject_token.into(), of_type: subject_token_type.into() };
        TokenExchange { subject, actor: None }
    }

    pub(super) fn grant_type(&self) -> Option<&str> {
        match &self.kind {
            Kind::Client { grant_type } => grant_type.as_deref(),
            Kind::Password { .. } => Some("password"),
            Kind::JwtBearer(_) => Some("urn:ietf:params:oauth:grant-type:jwt-bearer"),
            Kind::TokenExchange(_) => Some("urn:ietf:params:oauth:grant-type:token-exchange"),
        }
    }

    pub(super) fn secrets(&self) -> Vec<&Secret> {
        match &self.kind {
            Kind::Client { .. } => Vec::new(),
            Kind::Password { password, .. } => vec![password],
            Kind::JwtBearer(assertion) => vec![assertion.secret()],
            Kind::TokenExchange(exchange) => {
                exchange.tokens().map(|(_, token)| &token.token).collect()
            }
        }
    }

    pub(super) fn is_password(&self) -> bool {
        matches!(self.kind, Kind::Password { .. })
    }

    /// Whether a refusal with this code may be about what the grant has.
    pub(super) fn is_refused_with(&self, code: &str) -> bool {
        match self.kind {
            // RFC 8693 section 2.2.2.
            Kind::TokenExchange(_) => matches!(code, "invalid_grant" | "invalid_request"),
            _ => code == "invalid_grant",
        }
    }

    /// Whether it names the client too, so that nothing else has to.
    pub(super) fn may_name_client(&self) -> bool {
        matches!(self.kind, Kind::JwtBearer(_) | Kind::TokenExchange(_))
    }

    /// What tells whom the token is for. `None` if only a secret tells.
    #[cfg(feature = "shared")]
    pub(super) fn identity(&self) -> Option<serde_json::Value> {
        match &self.kind {
            Kind::Client { .. } => Some(serde_json::json!("client_credentials")),
            Kind::Password { username, .. } => Some(serde_json::json!({ "username": username })),
            Kind::JwtBearer(assertion) => {
                Some(serde_json::json!({ "assertion": assertion.identity()? }))
            }
            // The subject is told by its token alone.
            Kind::TokenExchange(_) => None,
        }
    }

    /// Adds what goes along with `grant_type`.
    pub(super) fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        let has_body = parts.placement.has_body();
        match &self.kind {
            Kind::Client { grant_type } if grant_type.as_deref() == Some("") => {
                Err(TokenError::config(
                    "the grant type is empty, name one or use `Grant::without_type`",
                ))
            }
            Kind::Client { .. } => Ok(()),
            Kind::Password { username, .. } if username.is_empty() => Err(TokenError::config(
                "the username of the password grant is empty, pass the resource owner's",
            )),
            Kind::Password { .. } if parts.placement == Placement::Query => {
                Err(TokenError::config(
                    "a password is not sent in a URL, use `Grant::legacy_password` without \
                     `Placement::Query`",
                ))
            }
            Kind::Password { username, password } => {
                parts.param("username", &**username);
                parts.secret_param("password", context.secrets.text(password));
                Ok(())
            }
            Kind::JwtBearer(_) | Kind::TokenExchange(_) if !has_body => Err(TokenError::config(
                "an assertion or a subject token is not sent in a URL, use `Grant::jwt_bearer` and \
                 `Grant::token_exchange` without `Placement::Query` and `Placement::LegacyGet`",
            )),
            Kind::JwtBearer(assertion) => assertion.apply("assertion", context, parts),
            Kind::TokenExchange(exchange) => exchange.apply(context, parts),
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match &self.kind {
            Kind::Client { .. } => "check the client's registration at the issuer",
            Kind::Password { .. } => "check the username and the password",
            Kind::JwtBearer(assertion) => assertion.hint(),
            Kind::TokenExchange(_) => {
                "check the subject token and its type, and that the client may exchange it"
            }
        }
    }
}

impl From<Kind> for Grant {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

impl From<TokenExchange> for Grant {
    fn from(exchange: TokenExchange) -> Self {
        Kind::TokenExchange(exchange).into()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grant").field(&self.grant_type()).finish()
    }
}

/// A [`Grant::token_exchange`].
#[derive(Clone, Debug)]
pub struct TokenExchange {
    subject: TypedToken,
    actor: Option<TypedToken>,
}

/// A token of somebody's, and what kind of token it is (RFC 8693 section 3).
#[derive(Clone, Debug)]
struct TypedToken {
    token: Secret,
    of_type: String,
}

impl TokenExchange {
    /// Names who acts for the subject (RFC 8693 section 2.1).
    ///
    /// # Errors
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses an empty type.
    pub fn actor(mut self, token: impl Into<Secret>, token_type: impl Into<String>) -> Self {
        self.actor = Some(TypedToken { token: token.into(), of_type: token_type.into() });
        self
    }

    /// With the names of their parameters.
    fn tokens(&self) -> impl Iterator<Item = ([&'static str; 2], &TypedToken)> {
        let subject = (["subject_token", "subject_token_type"], &self.subject);
        let actor = self.actor.as_ref().map(|actor| (["actor_token", "actor_token_type"], actor));
        [subject].into_iter().chain(actor)
    }

    fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        for ([name, type_name], TypedToken { token, of_type }) in self.tokens() {
            if of_type.is_empty() {
                return Err(TokenError::config(
                    "the type of a token to exchange is empty, pass an identifier such as \
                     `urn:ietf:params:oauth:token-type:jwt`",
                ));
            }
            parts.secret_param(name, context.secrets.text(token));
            parts.param(type_name, &**of_type);
        }
        Ok(())
    }
}
