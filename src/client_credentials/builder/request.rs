//! Setters for the parameters and headers of a token request, and for where they are written.

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::client_credentials_builder::ClientCredentialsBuilder;
use crate::{
    client_credentials::{
        auth::ClientAuth,
        message::Placement,
        request::{Grant, scope},
    },
    error::TokenError,
    secret::Secret,
};

/// What a token request contains, and where it is written.
impl<C> ClientCredentialsBuilder<C> {
    /// Asks for a token as another client: its id and its secret, in place of those that the builder
    /// started with. A bare secret is sent by [`ClientAuth::basic`](crate::ClientAuth::basic), whatever
    /// the client before was sent by.
    ///
    /// For tenants that have clients of their own, after
    /// [`ClientCredentials::derive`](crate::ClientCredentials::derive).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty id, and what
    /// [`ClientAuth`](crate::ClientAuth) lists.
    pub fn client(self, client_id: impl Into<Secret>, auth: impl Into<ClientAuth>) -> Self {
        self.change(|credentials| {
            credentials.request.client_id = client_id.into();
            credentials.request.auth = auth.into();
        })
    }

    /// What entitles the client to a token: another [`Grant`] than [`Grant::client_credentials`], the default.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what the [`Grant`] lists.
    pub fn grant(self, grant: impl Into<Grant>) -> Self {
        self.change(|credentials| credentials.request.grant = grant.into())
    }

    /// Asks for a scope (RFC 6749 section 3.3): words separated by spaces. By default, and for an
    /// empty one, none is sent and the issuer decides. Another call replaces it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses `"`, `\`, control and non-ASCII characters.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.set(|credentials| {
            credentials.request.scope = scope::parse(&scope.into())?;
            Ok(())
        })
    }

    /// What is sent between the words of the [`scope`](Self::scope), which is written with spaces
    /// here all the same: a comma for Adobe and Domo. The default, and what RFC 6749 section 3.3
    /// says, is a space.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses letters, digits, and what a scope cannot have.
    pub fn scope_separator(self, separator: char) -> Self {
        self.set(|credentials| {
            if !scope::is_scope_char(separator) || separator.is_ascii_alphanumeric() {
                return Err(TokenError::config(
                    "the scope separator is a letter, a digit or no scope character, \
                     pass a space or a comma",
                ));
            }
            credentials.request.scope_separator = separator;
            Ok(())
        })
    }

    /// Sends an additional parameter, such as `audience` or `resource` (RFC 8707). One with an
    /// empty value is not sent, since RFC 6749 section 3.2 takes it as omitted.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses the parameters that this builder sends by itself
    /// (`grant_type`, `scope`, and those that name or authenticate somebody), an empty name, a
    /// name given twice other than `resource` and `audience`, and a `resource` with a fragment.
    pub fn param(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|credentials| credentials.request.params.push(name.into(), value.into()))
    }

    /// As [`param`](Self::param), for a value that is a secret: it is kept out of errors, and may
    /// be read from a file or by a closure for each token request. For instance the
    /// `code` of an extension grant.
    ///
    /// # Errors
    ///
    /// As for [`param`](Self::param). Together with [`Placement::Query`] it is refused.
    pub fn secret_param(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.set(|credentials| credentials.request.params.push_secret(name.into(), value.into()))
    }

    /// Sends a header, in place of the default one of that name and of an earlier call for it.
    ///
    /// The defaults are `Accept: application/json` and, where there is a body, its `Content-Type`. Mark a secret value
    /// [sensitive](HeaderValue::set_sensitive), and it is kept out of errors as well. Answers in a
    /// `Content-Encoding` are refused, so ask for none unless the HTTP client decodes it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses `Authorization`, for which there is [`ClientAuth`](crate::ClientAuth), and
    /// `Content-Length` and `Transfer-Encoding`, which follow from the body.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.set(|credentials| {
            if name == AUTHORIZATION {
                return Err(TokenError::config(
                    "`authorization` cannot be an extra header, choose a `ClientAuth`",
                ));
            }
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                return Err(TokenError::config(format!(
                    "`{name}` cannot be an extra header, leave it to the HTTP client"
                )));
            }
            credentials.request.headers.insert(name, value);
            Ok(())
        })
    }

    /// Where the parameters are written. Default: [`Placement::Form`].
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what the [`Placement`] lists.
    pub fn placement(self, placement: Placement) -> Self {
        self.change(|credentials| credentials.request.placement = placement)
    }
}
