//! Setters for how the responses of the token endpoint are read.

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{client_credentials::response::JsonPointer, token::Token};

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
    pub fn token_at(self, pointer: impl AsRef<str>) -> Self {
        self.set(|credentials| {
            credentials.response_options.access_token = Some(JsonPointer::parse(pointer.as_ref())?);
            Ok(())
        })
    }

    /// Where the lifetime is in the answer, as a JSON pointer (RFC 6901). The default is
    /// `/expires_in`. None there, or one that makes no sense, is an unknown lifetime.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is no JSON pointer.
    pub fn expires_in_at(self, pointer: impl AsRef<str>) -> Self {
        self.set(|credentials| {
            credentials.response_options.expires_in = Some(JsonPointer::parse(pointer.as_ref())?);
            Ok(())
        })
    }

    /// Where the token's type is in the answer, as a JSON pointer (RFC 6901). The default is
    /// `/token_type`. None there means Bearer.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is no JSON pointer.
    pub fn token_type_at(self, pointer: impl AsRef<str>) -> Self {
        self.set(|credentials| {
            credentials.response_options.token_type = Some(JsonPointer::parse(pointer.as_ref())?);
            Ok(())
        })
    }

    /// Whether `expires_in` is in milliseconds, as Fiserv sends it. Default: `false`, which is what RFC 6749
    /// section 5.1 says: seconds.
    pub fn expires_in_millis(self, millis: bool) -> Self {
        self.change(|credentials| credentials.response_options.expires_in_millis = millis)
    }

    /// Whether an `expires_in` of zero stands for a token that does not expire, as Mailchimp means it. Default:
    /// `false`. Such a token then serves those who wait for it, and is forgotten.
    pub fn zero_means_never(self, never: bool) -> Self {
        self.change(|credentials| credentials.response_options.zero_means_never = never)
    }

    /// Whether to refuse what is tolerated otherwise though the RFCs do not allow it: a missing `token_type`
    /// or one that is not `Bearer`, answers that are not JSON, an `expires_in` that is no whole
    /// number, and tokens that are no `b64token` (RFC 6749 section 5.1, RFC 6750 section 2.1). Default: `false`.
    ///
    /// What other setters say of the answers holds all the same: where the fields are, and what `expires_in` means.
    pub fn strict(self, strict: bool) -> Self {
        self.change(|credentials| credentials.response_options.strict = strict)
    }

    /// What stands before the token when it is sent to an API, instead of `Bearer` and a space: for
    /// instance `Token` and a space, or nothing. It is written as it is. See also
    /// [`BearerAuthLayer::header`](crate::BearerAuthLayer::header).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses control and non-ASCII characters.
    pub fn token_prefix(self, prefix: impl Into<String>) -> Self {
        self.set(|credentials| {
            let prefix = prefix.into();
            Token::prefixed(&prefix, "token")?;
            credentials.response_options.prefix = Some(prefix);
            Ok(())
        })
    }

    /// The largest answer that is read, in bytes. The default is 1 MiB.
    pub fn response_limit(self, bytes: usize) -> Self {
        self.change(|credentials| credentials.response_limit = bytes)
    }
}
