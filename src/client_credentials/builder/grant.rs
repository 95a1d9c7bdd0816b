//! Setters for the grant.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{
    client_credentials::{
        auth::{Assertion, Secret},
        request::{Grant, GrantType},
    },
    error::TokenError,
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

    fn grant(&mut self, grant: Grant) {
        if self.is_grant_chosen {
            self.record_problem(TokenError::config(
                "there are two grants, leave out one of `jwt_bearer_grant` and \
                 `legacy_password_grant`",
            ));
        }
        self.is_grant_chosen = true;
        self.request.grant = grant;
    }
}
