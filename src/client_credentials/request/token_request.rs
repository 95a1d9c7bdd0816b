//! What all token requests of a client have in common, and how one of them is made.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header::ACCEPT};
use http_body_util::Full;

use super::{
    encode::encode,
    grant::Grant,
    params::{self, Params},
};
use crate::{
    client_credentials::{
        auth::ClientAuth,
        binding::{SentProof, TokenBinding},
        endpoint::{EndpointUrl, ResolvedEndpoint},
        message::{Placement, RequestContext, RequestParts},
        response::ErrorHints,
    },
    error::TokenError,
    secret::{Redactor, ResolvedSecrets, Secret},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Parameters that stand for a way to authenticate, of which there is one (RFC 6749 section 2.3).
const AUTHENTICATING: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// The description of a token request, without the endpoint that it is sent to.
#[derive(Clone)]
pub(crate) struct TokenRequest {
    pub(crate) client_id: Secret,
    pub(crate) auth: ClientAuth,
    pub(crate) grant: Grant,
    pub(crate) scope: Option<String>,
    pub(crate) scope_separator: char,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) placement: Placement,
    pub(crate) binding: Option<Arc<dyn TokenBinding>>,
}

/// An HTTP request, and what its response is read with.
pub(crate) struct PreparedRequest {
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) redactor: Redactor,
    pub(crate) hints: ErrorHints,
    pub(crate) proof: Option<SentProof>,
}

impl TokenRequest {
    pub(crate) fn new(client_id: Secret, auth: ClientAuth) -> Self {
        Self {
            client_id,
            auth,
            grant: Grant::client_credentials(),
            scope: None,
            scope_separator: ' ',
            params: Params::default(),
            headers: HeaderMap::new(),
            placement: Placement::default(),
            binding: None,
        }
    }

    /// The same description, whose parameters can be replaced.
    pub(crate) fn derive(&self) -> Self {
        let mut derived = self.clone();
        derived.params.inherit();
        derived
    }

    /// Finds what could only fail later, at the first token request or at the server. Secrets that
    /// are read for each request are not read yet.
    pub(crate) fn check(&self, endpoint: &ResolvedEndpoint) -> Result<(), TokenError> {
        let (unread, audience) = (ResolvedSecrets::default(), endpoint.audience());
        let auth = self.auth_at(endpoint);
        let parts = self.parts(auth, self.context(&audience, &unread, SystemTime::now()))?;
        let mut names: Vec<&str> = parts.names().filter(|n| !params::is_repeatable(n)).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TokenError::config(format!(
                "the parameter `{}` would be sent twice, leave out one of what sends it",
                twice[0].escape_debug()
            )));
        }
        let query = endpoint.url.query().unwrap_or_default();
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
                     there: it is sent anyway, or in the query with `Placement::Query`",
                    name.escape_debug()
                )));
            }
        }
        encode(parts, &endpoint.url, &self.headers).map(drop)
    }

    /// What has to be read before a request.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        let mut secrets = vec![&self.client_id];
        secrets.extend(self.auth.method().secret());
        secrets.extend(self.grant.secrets());
        secrets.extend(self.params.secrets());
        secrets
    }

    /// Whether a refusal with this code may be about the grant.
    pub(crate) fn is_grant_refused_with(&self, code: Option<&str>) -> bool {
        code.is_some_and(|code| self.grant.is_refused_with(code))
    }

    /// The secrets that may be the reason why a request was refused with this code.
    pub(crate) fn suspect_secrets(&self, code: Option<&str>) -> Vec<&Secret> {
        if self.is_grant_refused_with(code) {
            return self.grant.secrets();
        }
        let mut suspects = vec![&self.client_id];
        // An assertion that is new each time says nothing of the password that goes with it.
        if !(self.grant.is_password() && self.auth.method().is_external_assertion()) {
            suspects.extend(self.auth.method().secret());
        }
        suspects
    }

    /// What tells whose token is asked for, and which. `None` if only a secret tells.
    #[cfg(feature = "shared")]
    pub(crate) fn identity(&self) -> Option<serde_json::Value> {
        let client_id = self.client_id.fixed().filter(|id| !id.is_empty())?;
        if self.headers.values().any(HeaderValue::is_sensitive) {
            return None;
        }
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        headers.sort_unstable();
        let mut scopes: Vec<_> = self.scope.iter().flat_map(|scope| scope.split(' ')).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let mut identity = serde_json::json!({
            "client_id": client_id,
            "auth": self.auth.method().identity()?,
            "grant": self.grant.identity()?,
            "grant_type": self.grant.grant_type(),
            "scopes": scopes,
            "scope_separator": (scopes.len() > 1).then_some(self.scope_separator),
            "params": self.params.identity()?,
            "headers": headers,
        });
        if let Some(binding) = &self.binding {
            identity["binding"] = binding.identity();
        }
        Some(identity)
    }

    pub(crate) fn prepare(
        &self,
        endpoint: &ResolvedEndpoint,
        secrets: &ResolvedSecrets,
        claims: Option<&str>,
        now: SystemTime,
    ) -> Result<PreparedRequest, TokenError> {
        let (audience, auth) = (endpoint.audience(), self.auth_at(endpoint));
        let context = self.context(&audience, secrets, now);
        let hints = self.hints(auth, context);
        let mut parts = self.parts(auth, context)?;
        if let Some(claims) = claims {
            // Those of the configuration are not to be taken away by an API.
            if !parts.names().any(|name| name == "claims") {
                parts.param("claims", claims);
            }
        }
        let (mut request, mut redactor) = encode(parts, &endpoint.url, &self.headers)?;
        let proof = match &self.binding {
            Some(binding) => Some(binding.prove(&mut request, &mut redactor, now)?),
            None => None,
        };
        Ok(PreparedRequest { request, redactor, hints, proof })
    }

    /// The request for the revocation of a token (RFC 7009 section 2.1).
    pub(crate) fn prepare_revocation(
        &self,
        endpoint: &ResolvedEndpoint,
        url: &EndpointUrl,
        secrets: &ResolvedSecrets,
        token: &str,
        now: SystemTime,
    ) -> Result<PreparedRequest, TokenError> {
        let (audience, auth) = (endpoint.audience(), self.auth_at(endpoint));
        let context = self.context(&audience, secrets, now);
        let hints = self.hints(auth, context);
        let mut parts = RequestParts::new(Placement::Form);
        parts.headers.insert(ACCEPT, JSON);
        auth.apply(context, &mut parts)?;
        parts.secret_param("token", token);
        parts.param("token_type_hint", "access_token");
        let (request, redactor) = encode(parts, url, &self.headers)?;
        Ok(PreparedRequest { request, redactor, hints, proof: None })
    }

    fn hints(&self, auth: &ClientAuth, context: RequestContext<'_>) -> ErrorHints {
        ErrorHints {
            client_auth: auth.method().hint(),
            grant: self.grant.hint(),
            encoding: auth.method().encoding_hint(context),
        }
    }

    fn context<'a>(
        &'a self,
        audience: &'a str,
        secrets: &'a ResolvedSecrets,
        now: SystemTime,
    ) -> RequestContext<'a> {
        RequestContext { client_id: secrets.text(&self.client_id), audience, secrets, now }
    }

    fn auth_at<'a>(&'a self, endpoint: &'a ResolvedEndpoint) -> &'a ClientAuth {
        endpoint.auth.as_ref().unwrap_or(&self.auth)
    }

    /// What the client authenticates with, unless the assertion of the grant does that as well.
    pub(crate) fn client_auth(&self) -> Option<&ClientAuth> {
        (!self.is_named_by_assertion()).then_some(&self.auth)
    }

    fn parts<'a>(
        &'a self,
        auth: &'a ClientAuth,
        context: RequestContext<'a>,
    ) -> Result<RequestParts<'a>, TokenError> {
        if context.client_id.is_empty() && self.needs_client_id() {
            return Err(TokenError::config(match self.auth.has_client_id_in_body() {
                false => "the client id is empty, pass the one that the issuer has registered",
                true => {
                    "the client id that `client_id_in_body` sends is empty, pass the one that the \
                     issuer has registered"
                }
            }));
        }
        let mut parts = RequestParts::new(self.placement);
        parts.headers.insert(ACCEPT, JSON);
        if let Some(grant_type) = self.grant.grant_type() {
            parts.param("grant_type", grant_type);
        }
        auth.apply(context, &mut parts)?;
        self.grant.apply(context, &mut parts)?;
        if let Some(scope) = &self.scope {
            parts.param("scope", scope.replace(' ', self.scope_separator.encode_utf8(&mut [0; 4])));
        }
        self.params.apply(context, &mut parts)?;
        Ok(parts)
    }

    fn needs_client_id(&self) -> bool {
        self.auth.has_client_id_in_body()
            || self.auth.method().needs_client_id() && !self.is_named_by_assertion()
    }

    fn is_named_by_assertion(&self) -> bool {
        self.auth.method().is_none() && self.grant.may_name_client()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client_id = self.client_id.fixed();
        let client_id = client_id.map_or(&self.client_id as &dyn fmt::Debug, |_| &client_id);
        f.debug_struct("TokenRequest")
            .field("client_id", client_id)
            .field("auth", &self.auth)
            .field("grant", &self.grant)
            .field("scope", &self.scope)
            .field("shape", &self.placement)
            .finish_non_exhaustive()
    }
}
