//! Setters for how the responses of the token endpoint are read.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{
    client_credentials::response::{ExpiresInUnit, JsonPointer, Strictness, ZeroExpiresIn},
    token::Token,
};

/// How the responses are read.
impl<C> ClientCredentialsBuilder<C> {
    /// Where the access token is in the answer, as a JSON pointer (RFC 6901), for issuers that nest
    /// or rename it: `/data/token`. The empty pointer stands for an answer that is nothing but the
    /// token, as a JSON string or as it is. The default is `/access_token`.
    ///
    /// An `error` still wins over a token, be it in JSON or in a form.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is no JSON pointer.
    ///
    /// ```
    /// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::ClientCredentials;
    ///
    /// let credentials =
    ///     ClientCredentials::builder(client, "https://issuer.example/login", "id", "secret")
    ///         .token_at("/data/accessToken")
    ///         .expires_in_at("/data/expiresIn")
    ///         .build()?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    pub fn token_at(mut self, pointer: impl AsRef<str>) -> Self {
        self.response_options.access_token = self.pointer(pointer);
        self
    }

    /// Where the lifetime is in the answer, as a JSON pointer (RFC 6901). The default is
    /// `/expires_in`. None there, or one that makes no sense, is an unknown lifetime.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is no JSON pointer.
    pub fn expires_in_at(mut self, pointer: impl AsRef<str>) -> Self {
        self.response_options.expires_in = self.pointer(pointer);
        self
    }

    /// Where the token's type is in the answer, as a JSON pointer (RFC 6901). The default is
    /// `/token_type`. None there means Bearer.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is no JSON pointer.
    pub fn token_type_at(mut self, pointer: impl AsRef<str>) -> Self {
        self.response_options.token_type = self.pointer(pointer);
        self
    }

    fn pointer(&mut self, pointer: impl AsRef<str>) -> Option<JsonPointer> {
        match JsonPointer::parse(pointer.as_ref()) {
            Ok(pointer) => Some(pointer),
            Err(problem) => {
                self.record_problem(problem);
                None
            }
        }
    }

    /// Takes `expires_in` as milliseconds, as Fiserv sends it. The default, and what RFC 6749
    /// section 5.1 says, is seconds.
    pub fn expires_in_millis(mut self) -> Self {
        self.response_options.expires_in_unit = ExpiresInUnit::Milliseconds;
        self
    }

    /// Takes an `expires_in` of zero as a token that does not expire, as Mailchimp means it. By
    /// default such a token serves those who wait for it, and is then forgotten.
    pub fn zero_means_never(mut self) -> Self {
        self.response_options.zero_expires_in = ZeroExpiresIn::Never;
        self
    }

    /// Refuses what is tolerated otherwise though the RFCs do not allow it: a missing `token_type`
    /// or one that is not `Bearer`, answers that are not JSON, an `expires_in` that is no whole
    /// number, and tokens that are no `b64token` (RFC 6749 section 5.1, RFC 6750 section 2.1).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with the setters for answers of another form.
    pub fn strict(mut self) -> Self {
        self.response_options.strictness = Strictness::Strict;
        self
    }

    /// What stands before the token when it is sent to an API, instead of `Bearer` and a space: for
    /// instance `Token` and a space, or nothing. It is written as it is. See also
    /// [`BearerAuthLayer::header`](crate::BearerAuthLayer::header).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses control and non-ASCII characters.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        match Token::prefixed(&prefix, "token") {
            Ok(_) => self.response_options.prefix = Some(prefix),
            Err(problem) => self.record_problem(problem),
        }
        self
    }

    /// The largest answer that is read, in bytes. The default is 1 MiB.
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }
}
