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
        request::{ClientIdPlacement, scope},
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
    pub fn client(mut self, client_id: impl Into<Secret>, auth: impl Into<ClientAuth>) -> Self {
        self.request.client_id = client_id.into();
        self.request.auth = auth.into();
        self
    }

    /// Asks for a scope (RFC 6749 section 3.3): words separated by spaces. By default, and for an
    /// empty one, none is sent and the issuer decides. Another call replaces it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses `"`, `\`, control and non-ASCII characters.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        match scope::parse(&scope.into()) {
            Ok(scope) => self.request.scope = scope,
            Err(problem) => self.record_problem(problem),
        }
        self
    }

    /// What is sent between the words of the [`scope`](Self::scope), which is written with spaces
    /// here all the same: a comma for Adobe and Domo. The default, and what RFC 6749 section 3.3
    /// says, is a space.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses letters, digits, and what a scope cannot have.
    pub fn scope_separator(mut self, separator: char) -> Self {
        if scope::is_scope_char(separator) && !separator.is_ascii_alphanumeric() {
            self.request.scope_separator = separator;
        } else {
            self.record_problem(TokenError::config(
                "the scope separator is a letter, a digit or no scope character, \
                 pass a space or a comma",
            ));
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
        if let Err(problem) = self.request.params.push(name.into(), value.into()) {
            self.record_problem(problem);
        }
        self
    }

    /// As [`param`](Self::param), for a value that is a secret: it is kept out of errors, and may
    /// be read from a file or by a closure for each token request. For instance the
    /// `subject_token` of a token exchange (RFC 8693 section 2.1).
    ///
    /// # Errors
    ///
    /// As for [`param`](Self::param). Together with [`params_in_query`](Self::params_in_query) it is
    /// refused.
    pub fn secret_param(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        if let Err(problem) = self.request.params.push_secret(name.into(), value.into()) {
            self.record_problem(problem);
        }
        self
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
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == AUTHORIZATION {
            self.record_problem(TokenError::config(
                "`authorization` cannot be an extra header, choose a `ClientAuth`",
            ));
        } else if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            self.record_problem(TokenError::config(format!(
                "`{name}` cannot be an extra header, leave it to the HTTP client"
            )));
        } else {
            self.request.headers.insert(name, value);
        }
        self
    }

    /// Sends `client_id` as a parameter also where [`ClientAuth`](crate::ClientAuth) has it in a
    /// header or not at all (RFC 6749 section 3.2.1). By default it is sent once.
    pub fn client_id_in_body(mut self) -> Self {
        self.request.client_id_placement = ClientIdPlacement::AuthAndParams;
        self
    }

    /// Another name for the parameter `client_id`, such as WeChat's `appid`.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an empty name, one that is sent anyway, and one for a
    /// parameter that the [`ClientAuth`](crate::ClientAuth) does not send.
    pub fn client_id_name(mut self, name: impl Into<String>) -> Self {
        self.request.parameter_names.client_id = self.named(name);
        self
    }

    /// Another name for the parameter `client_secret`, such as WeChat's `secret`.
    ///
    /// # Errors
    ///
    /// As for [`client_id_name`](Self::client_id_name).
    pub fn client_secret_name(mut self, name: impl Into<String>) -> Self {
        self.request.parameter_names.client_secret = self.named(name);
        self
    }

    fn named(&mut self, name: impl Into<String>) -> String {
        let name = name.into();
        if name.is_empty() {
            self.record_problem(TokenError::config(
                "a parameter of the client has an empty name, give it one",
            ));
        }
        name
    }

    /// Sends all parameters in a JSON object, with `Content-Type: application/json`, as Auth0 and
    /// Shopify take them. RFC 6749 knows only forms.
    ///
    /// All values are strings, and that of a parameter given more than once is an array of them.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with [`params_in_query`](Self::params_in_query)
    /// and [`legacy_get`](Self::legacy_get).
    pub fn json_body(self) -> Self {
        self.placement(Placement::Json)
    }

    /// Sends `grant_type` and all other parameters in the query of the URL, and a `POST` without
    /// a body and without `Content-Type`, as Certara Layar wants it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with what has to be in a body:
    /// [`ClientAuth::post`](crate::ClientAuth::post), assertions,
    /// [`legacy_password_grant`](Self::legacy_password_grant) and
    /// [`secret_param`](Self::secret_param).
    pub fn params_in_query(self) -> Self {
        self.placement(Placement::Query)
    }

    /// **Legacy:** sends a `GET` with all parameters in the query, which RFC 6749 section 3.2
    /// forbids.
    ///
    /// With [`ClientAuth::legacy_query`](crate::ClientAuth::legacy_query),
    /// [`legacy_password_grant`](Self::legacy_password_grant) or
    /// [`secret_param`](Self::secret_param) the secret is in the URL, and in the logs of every proxy
    /// and server on the way.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with
    /// [`ClientAuth::post`](crate::ClientAuth::post) and assertions.
    pub fn legacy_get(self) -> Self {
        self.placement(Placement::Get)
    }

    pub(crate) fn placement(mut self, placement: Placement) -> Self {
        match (self.chosen_placement, placement) {
            (Some(Placement::Json), Placement::Query | Placement::Get)
            | (Some(Placement::Query | Placement::Get), Placement::Json) => {
                self.record_problem(TokenError::config(
                    "parameters are either in a JSON body or in the query, leave out `json_body` \
                     or `params_in_query` and `legacy_get`",
                ));
            }
            (Some(Placement::Get), Placement::Query) => {}
            _ => {
                self.chosen_placement = Some(placement);
                self.request.placement = placement;
            }
        }
        self
    }
}
