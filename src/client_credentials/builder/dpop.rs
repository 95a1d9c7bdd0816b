//! Setters for tokens that are bound to a key.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{client_credentials::binding::TokenBinding, dpop::DpopKey, error::TokenError};

/// What the tokens are bound to.
impl<C> ClientCredentialsBuilder<C> {
    /// Asks for tokens that are bound to this key (RFC 9449). Each token request then has a proof, and
    /// [`BearerAuthLayer`](crate::BearerAuthLayer) sends such a token as `Authorization: DPoP`, with a proof for
    /// each request.
    ///
    /// A request that the issuer refuses with `use_dpop_nonce` (RFC 9449 section 8) is sent once more at once,
    /// with the nonce that came with the refusal.
    ///
    /// ```
    /// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::{ClientCredentials, DpopKey, JwtAlgorithm};
    ///
    /// let key = DpopKey::generate(JwtAlgorithm::ES256)?;
    /// let credentials =
    ///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", "secret")
    ///         .dpop(key)
    ///         .build()?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// A bearer token in the response is an error that
    /// [`is_unsupported_token_type`](crate::TokenError::is_unsupported_token_type), unless
    /// [`accept_bearer`](Self::accept_bearer) is called. [`build`](Self::build) refuses it together with
    /// [`token_prefix`](Self::token_prefix).
    #[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
    pub fn dpop(mut self, key: DpopKey) -> Self {
        let accept_bearer = self.request.binding.is_some_and(|bound| bound.accept_bearer);
        self.request.binding = Some(TokenBinding { key, accept_bearer });
        self
    }

    /// Takes a bearer token where one bound by [`dpop`](Self::dpop) was asked for, from issuers that bind
    /// tokens as they see fit. It is sent as a bearer token, to whoever steals it worth as much as any other.
    /// Default: an error.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it before or without [`dpop`](Self::dpop).
    #[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
    pub fn accept_bearer(mut self) -> Self {
        match &mut self.request.binding {
            Some(bound) => bound.accept_bearer = true,
            None => self.record_problem(TokenError::config(
                "`accept_bearer` is for tokens that are bound, call `dpop` first",
            )),
        }
        self
    }
}
