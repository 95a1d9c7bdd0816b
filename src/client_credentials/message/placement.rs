//! `Placement`: where the parameters of a token request are written.

/// Where a token request has its parameters, for [`placement`](crate::ClientCredentialsBuilder::placement).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// A `POST` with a form as its body (RFC 6749 section 4.4.2): the default.
    #[default]
    Form,
    /// A `POST` with all parameters in a JSON object, and `Content-Type: application/json`, as Auth0 and Shopify
    /// take them. RFC 6749 knows only forms.
    ///
    /// All values are strings, and that of a parameter given more than once is an array of them.
    Json,
    /// A `POST` with `grant_type` and all other parameters in the query of the URL, without a body and without
    /// `Content-Type`, as Certara Layar wants it.
    ///
    /// [`build`](crate::ClientCredentialsBuilder::build) refuses it together with what has to be in a body:
    /// [`ClientAuth::post`](crate::ClientAuth::post), assertions, all grants that bring a secret, and
    /// [`secret_param`](crate::ClientCredentialsBuilder::secret_param).
    Query,
    /// **Legacy:** a `GET` with all parameters in the query, which RFC 6749 section 3.2 forbids.
    ///
    /// With [`ClientAuth::legacy_query`](crate::ClientAuth::legacy_query),
    /// [`Grant::legacy_password`](crate::Grant::legacy_password) or
    /// [`secret_param`](crate::ClientCredentialsBuilder::secret_param) the secret is in the URL, and in the logs of
    /// every proxy and server on the way. [`build`](crate::ClientCredentialsBuilder::build) refuses it together with
    /// [`ClientAuth::post`](crate::ClientAuth::post), assertions and the token exchange.
    LegacyGet,
}

impl Placement {
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Form | Self::Json)
    }
}
