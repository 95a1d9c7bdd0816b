use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header::ACCEPT};
use http_body_util::Full;

use super::{
    auth::ClientAuth,
    draft::{Draft, Shape},
    endpoint::Endpoint,
    grant::Grant,
    params::{self, Params},
    redactor::Redactor,
};
use crate::error::TokenError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All that token requests are drawn up from.
pub(super) struct TokenRequest {
    pub(super) endpoint: Endpoint,
    pub(super) client_id: String,
    pub(super) auth: ClientAuth,
    pub(super) grant: Grant,
    pub(super) scope: Option<String>,
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    pub(super) shape: Shape,
}

impl TokenRequest {
    /// Finds what could only fail later, at the first token request or at the server.
    pub(super) fn check(&self) -> Result<(), TokenError> {
        if self.client_id.is_empty() {
            return Err(TokenError::config(
                "the client id is empty, pass the one that the issuer has registered",
            ));
        }
        self.auth.check(&self.client_id, self.shape)?;
        self.grant.check()?;
        if matches!(self.grant, Grant::Password { .. }) && self.shape == Shape::Query {
            return Err(TokenError::config(
                "a password is not sent in a URL, use `legacy_password_grant` \
                 without `params_in_query`",
            ));
        }
        let query = self.endpoint.query().unwrap_or_default();
        let draft = self.draft();
        for (configured, _) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(name) = draft.names().find(|name| *name == configured) {
                if !params::is_repeatable(name) {
                    return Err(TokenError::config(format!(
                        "the token endpoint's URL has the parameter `{}` already, leave it out \
                         there: it is sent anyway, or in the query with `params_in_query`",
                        name.escape_debug()
                    )));
                }
            }
        }
        self.draw_up().map(drop)
    }

    pub(super) fn draw_up(&self) -> Result<Request<Full<Bytes>>, TokenError> {
        self.draft().finish(&self.endpoint, &self.headers)
    }

    /// Knows all that a token request has to hide.
    pub(super) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        self.auth.hide(&self.client_id, &mut redactor);
        self.grant.hide(&mut redactor);
        for value in self.headers.values().filter(|value| value.is_sensitive()) {
            redactor.hide(&String::from_utf8_lossy(value.as_bytes()));
        }
        if let Some(query) = self.draw_up().ok().as_ref().and_then(|request| request.uri().query())
        {
            redactor.hide(query);
        }
        redactor
    }

    /// What to try if the issuer does not know the client, should that be worth a try.
    pub(super) fn alternatives(&self) -> Option<&'static str> {
        self.auth.alternatives(&self.client_id)
    }

    fn draft(&self) -> Draft<'_> {
        let mut draft = Draft::new(self.shape);
        draft.headers.insert(ACCEPT, JSON);
        draft.param("grant_type", self.grant.grant_type());
        self.auth.apply(&self.client_id, &mut draft);
        self.grant.apply(&mut draft);
        if let Some(scope) = &self.scope {
            draft.param("scope", scope);
        }
        for (name, value) in self.params.iter() {
            draft.param(name, value);
        }
        draft
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .field("auth", &self.auth)
            .field("grant_type", &self.grant.grant_type())
            .field("scope", &self.scope)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
