use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header::ACCEPT};
use http_body_util::Full;

use super::{
    grant::Grant,
    params::{self, Params},
};
use crate::{
    client_credentials::{
        auth::{Attempt, ClientAuth, Names, Opened, Secret},
        endpoint::Place,
        message::{Draft, Shape},
        redaction::Redactor,
        response::Advice,
    },
    error::TokenError,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Parameters that stand for a way to authenticate, of which there is one (RFC 6749 section 2.3).
const AUTHENTICATING: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// All that token requests are drawn up from, but where they go.
pub(crate) struct TokenRequest {
    pub(crate) client_id: Secret,
    pub(crate) client_id_place: ClientIdPlace,
    pub(crate) auth: ClientAuth,
    pub(crate) names: Names,
    pub(crate) grant: Grant,
    pub(crate) grant_type: GrantType,
    pub(crate) scope: Option<String>,
    pub(crate) scope_separator: char,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) shape: Shape,
}

/// Where the client's id is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientIdPlace {
    /// Where the way to authenticate has it.
    Auth,
    /// There, and among the parameters.
    AuthAndParams,
}

/// What is sent as `grant_type`.
#[derive(Clone, Debug)]
pub(crate) enum GrantType {
    /// What RFC 6749 says for the grant.
    Registered,
    Custom(String),
    Omitted,
}

/// A token request, and what goes along with it on this side.
pub(crate) struct Drawn {
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) redactor: Redactor,
    pub(crate) advice: Advice,
}

impl TokenRequest {
    pub(crate) fn new(client_id: Secret, auth: ClientAuth) -> Self {
        Self {
            client_id,
            client_id_place: ClientIdPlace::Auth,
            auth,
            names: Names::default(),
            grant: Grant::ClientCredentials,
            grant_type: GrantType::Registered,
            scope: None,
            scope_separator: ' ',
            params: Params::default(),
            headers: HeaderMap::new(),
            shape: Shape::Form,
        }
    }

    /// Finds what could only fail later, at the first token request or at the server. Secrets that
    /// are read for each request are not read yet.
    pub(crate) fn check(&self, place: &Place) -> Result<(), TokenError> {
        let (endpoint, auth) = (&place.endpoint, self.auth_at(place));
        let (unread, audience) = (Opened::default(), place.audience());
        let draft = self.draft(auth, self.attempt(&audience, &unread, SystemTime::now()))?;
        let mut names: Vec<&str> = draft.names().filter(|n| !params::is_repeatable(n)).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TokenError::config(format!(
                "the parameter `{}` would be sent twice, leave out one of what sends it",
                twice[0].escape_debug()
            )));
        }
        let query = endpoint.query().unwrap_or_default();
        for (configured, _) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(name) = AUTHENTICATING.iter().find(|name| **name == configured) {
                return Err(TokenError::config(format!(
                    "the token endpoint's URL has the parameter `{name}`, which authenticates the \
                     client, leave it out there and choose a `ClientAuth`"
                )));
            }
            if let Some(name) = names.iter().find(|name| **name == configured) {
                return Err(TokenError::config(format!(
                    "the token endpoint's URL has the parameter `{}` already, leave it out \
                     there: it is sent anyway, or in the query with `params_in_query`",
                    name.escape_debug()
                )));
            }
        }
        draft.finish(endpoint, &self.headers).map(drop)
    }

    /// Finds names for parameters that are not sent.
    pub(crate) fn check_names(&self) -> Result<(), TokenError> {
        let usual = Names::default();
        let has_id =
            self.auth.has_client_id_param() || self.client_id_place == ClientIdPlace::AuthAndParams;
        if !has_id && self.names.client_id != usual.client_id {
            return Err(TokenError::config(
                "`client_id_name` names a parameter that this `ClientAuth` does not send, \
                 leave it out or call `client_id_in_body`",
            ));
        }
        if !self.auth.has_client_secret_param() && self.names.client_secret != usual.client_secret {
            return Err(TokenError::config(
                "`client_secret_name` names a parameter that this `ClientAuth` does not send, \
                 leave it out or choose `ClientAuth::post`",
            ));
        }
        Ok(())
    }

    /// What has to be opened for a request.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        let mut secrets = vec![&self.client_id];
        secrets.extend(self.auth.secret());
        secrets.extend(self.grant.secret());
        secrets.extend(self.params.secrets());
        secrets
    }

    /// What may be wrong with a request that was refused with this code.
    pub(crate) fn blamed(&self, code: Option<&str>) -> Vec<&Secret> {
        if code == Some("invalid_grant") {
            return self.grant.secret().into_iter().collect();
        }
        let mut blamed = vec![&self.client_id];
        // An assertion that is new each time says nothing of the password that goes with it.
        let is_password = matches!(self.grant, Grant::Password { .. });
        if !(is_password && self.auth.is_given_assertion()) {
            blamed.extend(self.auth.secret());
        }
        blamed
    }

    pub(crate) fn draw_up(
        &self,
        place: &Place,
        opened: &Opened,
        now: SystemTime,
    ) -> Result<Drawn, TokenError> {
        let (audience, auth) = (place.audience(), self.auth_at(place));
        let attempt = self.attempt(&audience, opened, now);
        let advice = Advice {
            client: auth.advice(),
            grant: self.grant.advice(),
            encoding: auth.advice_on_encoding(attempt),
        };
        let draft = self.draft(auth, attempt)?;
        let (request, redactor) = draft.finish(&place.endpoint, &self.headers)?;
        Ok(Drawn { request, redactor, advice })
    }

    fn attempt<'a>(
        &'a self,
        audience: &'a str,
        opened: &'a Opened,
        now: SystemTime,
    ) -> Attempt<'a> {
        Attempt { client_id: opened.text(&self.client_id), audience, opened, now }
    }

    fn auth_at<'a>(&'a self, place: &'a Place) -> &'a ClientAuth {
        place.auth.as_ref().unwrap_or(&self.auth)
    }

    /// Whether the client authenticates by one of these methods, as far as they have names.
    pub(crate) fn is_authenticated_by_any(&self, methods: &[&str]) -> bool {
        let names = self.auth.registered_names();
        let needs_none = self.auth.is_none() && matches!(self.grant, Grant::JwtBearer(_));
        names.is_empty() || needs_none || names.iter().any(|name| methods.contains(name))
    }

    pub(crate) fn auth_by_any(&self, methods: &[&str]) -> Option<ClientAuth> {
        self.auth.by_any(methods)
    }

    fn draft<'a>(
        &'a self,
        auth: &'a ClientAuth,
        attempt: Attempt<'a>,
    ) -> Result<Draft<'a>, TokenError> {
        if attempt.client_id.is_empty() && self.needs_client_id() {
            return Err(TokenError::config(match self.client_id_place {
                ClientIdPlace::Auth => {
                    "the client id is empty, pass the one that the issuer has registered"
                }
                ClientIdPlace::AuthAndParams => {
                    "the client id that `client_id_in_body` sends is empty, pass the one that the \
                     issuer has registered"
                }
            }));
        }
        let mut draft = Draft::new(self.shape);
        draft.headers.insert(ACCEPT, JSON);
        match &self.grant_type {
            GrantType::Registered => draft.param("grant_type", self.grant.grant_type()),
            GrantType::Custom(grant_type) => draft.param("grant_type", &**grant_type),
            GrantType::Omitted => {}
        }
        auth.apply(attempt, &self.names, &mut draft)?;
        if self.client_id_place == ClientIdPlace::AuthAndParams && !auth.has_client_id_param() {
            draft.param(&self.names.client_id, attempt.client_id);
        }
        self.grant.apply(attempt, &mut draft)?;
        if let Some(scope) = &self.scope {
            draft.param("scope", scope.replace(' ', self.scope_separator.encode_utf8(&mut [0; 4])));
        }
        self.params.apply(attempt, &mut draft)?;
        Ok(draft)
    }

    fn needs_client_id(&self) -> bool {
        let is_named_by_assertion =
            self.auth.is_none() && matches!(self.grant, Grant::JwtBearer(_));
        self.client_id_place == ClientIdPlace::AuthAndParams
            || self.auth.needs_client_id() && !is_named_by_assertion
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client_id = self.client_id.fixed();
        let client_id = client_id.map_or(&self.client_id as &dyn fmt::Debug, |_| &client_id);
        f.debug_struct("TokenRequest")
            .field("client_id", client_id)
            .field("auth", &self.auth)
            .field("grant_type", &self.grant_type)
            .field("scope", &self.scope)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
