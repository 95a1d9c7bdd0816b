//! The endpoint that one token request is sent to, and how it follows from the metadata of an issuer.

use super::{issuer::Issuer, metadata::Metadata, url::EndpointUrl};
use crate::{
    client_credentials::auth::ClientAuth,
    error::{Kind, TokenError},
    secret::Redactor,
};

/// A token endpoint, and what depends on it in a token request.
#[derive(Debug)]
pub(crate) struct ResolvedEndpoint {
    pub(crate) url: EndpointUrl,
    /// The issuer, if it is known: whom assertions are for (the update of RFC 7523 section 3).
    pub(crate) issuer: Option<String>,
    /// The authentication that the metadata asks for, in place of the configured one.
    pub(crate) auth: Option<ClientAuth>,
    /// Where tokens are revoked, if that is known.
    pub(crate) revocation: Option<EndpointUrl>,
}

impl ResolvedEndpoint {
    pub(crate) fn at(url: EndpointUrl) -> Self {
        Self { url, issuer: None, auth: None, revocation: None }
    }

    /// Whom an assertion is for, unless it says otherwise.
    pub(crate) fn audience(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.url.to_string())
    }
}

/// What the user chose about the endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndpointOptions {
    /// It may be neither `https` nor on loopback.
    pub(crate) allow_http: bool,
    /// Of the metadata, the one among the `mtls_endpoint_aliases` is used, if there is one.
    pub(crate) mtls_endpoint_alias: bool,
    /// The metadata says how the client authenticates, if it does not list the user's choice.
    pub(crate) pick_auth_method: bool,
}

impl EndpointOptions {
    /// `auth` is what the client authenticates with, if it has to.
    pub(crate) fn resolve(
        self,
        issuer: &Issuer,
        metadata: &Metadata,
        auth: Option<&ClientAuth>,
    ) -> Result<ResolvedEndpoint, TokenError> {
        // Code point by code point (RFC 8414 sections 3.3 and 4).
        if metadata.issuer != issuer.identifier() {
            return Err(TokenError::new(
                Kind::Malformed,
                format!(
                    "the metadata is of the issuer `{}`, write the issuer just like that if it is \
                     the one that is meant",
                    excerpt(&metadata.issuer)
                ),
            ));
        }
        let [url, revocation] = match self.mtls_endpoint_alias {
            false => metadata.endpoints(),
            true => metadata.mtls_endpoints(),
        };
        let url = url.and_then(|url| EndpointUrl::parse(url).ok()).ok_or_else(|| {
            TokenError::new(
                Kind::Malformed,
                "the issuer's metadata has no `token_endpoint` that is a URL, name the token \
                 endpoint instead of the issuer",
            )
        })?;
        if !self.is_allowed(issuer, &url) {
            return Err(TokenError::new(
                Kind::Insecure,
                format!(
                    "the issuer's metadata has the token endpoint {url}, and the secret is \
                     not sent over plain http, have the issuer mend it or call `allow_http`"
                ),
            ));
        }
        let auth = match auth {
            Some(auth) => self.other_auth(auth, &metadata.auth_methods())?,
            None => None,
        };
        // Tokens can be had without it.
        let revocation = revocation
            .and_then(|url| EndpointUrl::parse(url).ok())
            .filter(|url| self.is_allowed(issuer, url));
        Ok(ResolvedEndpoint { url, issuer: Some(metadata.issuer.clone()), auth, revocation })
    }

    /// Whether a secret may be sent there.
    fn is_allowed(self, issuer: &Issuer, url: &EndpointUrl) -> bool {
        self.allow_http
            || match issuer.url().is_https() {
                true => url.is_https(),
                false => url.is_confidential(),
            }
    }

    /// What the client authenticates with in place of `auth`, if the issuer does not take that.
    fn other_auth(
        self,
        auth: &ClientAuth,
        methods: &[&str],
    ) -> Result<Option<ClientAuth>, TokenError> {
        if auth.is_any_of(methods) {
            return Ok(None);
        }
        let other = auth.by_first_of(methods);
        if self.pick_auth_method && other.is_some() {
            return Ok(other);
        }
        Err(TokenError::config(format!(
            "the issuer does not take this `ClientAuth`, only {}: choose one of them{}",
            excerpt(&methods.join(", ")),
            match other {
                Some(auth) => format!(", such as `{auth:?}`, or call `pick_auth_method`"),
                None => String::new(),
            }
        )))
    }
}

fn excerpt(text: &str) -> String {
    Redactor::default().excerpt(text)
}
