//! An issuer identifier (RFC 8414 section 2), and the URLs of the issuer's metadata.

use std::fmt;

use super::url::EndpointUrl;
use crate::error::TokenError;

/// An issuer identifier (RFC 8414 section 2), and where the issuer's metadata may be.
pub(crate) struct Issuer {
    identifier: String,
    url: EndpointUrl,
    metadata: [EndpointUrl; 2],
}

impl Issuer {
    pub(crate) fn parse(identifier: &str) -> Result<Self, TokenError> {
        let malformed = || {
            TokenError::config(
                "the issuer is not a URL without query and fragment, \
                 write it as `https://host/path`, just as the issuer itself does",
            )
        };
        let url = EndpointUrl::parse(identifier).map_err(|_| malformed())?;
        if url.query().is_some() {
            return Err(malformed());
        }
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        let root = url.to_string();
        let root = root.strip_suffix(url.path()).unwrap_or(&root);
        let metadata = [
            format!("{root}/.well-known/oauth-authorization-server{path}"),
            format!("{root}{path}/.well-known/openid-configuration"),
        ];
        let [oauth, openid] = metadata.map(|url| EndpointUrl::parse(&url).map_err(|_| malformed()));
        let metadata = [oauth?, openid?];
        Ok(Self { identifier: identifier.to_owned(), url, metadata })
    }

    pub(crate) fn identifier(&self) -> &str {
        &self.identifier
    }

    pub(crate) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// In the order in which they are tried: RFC 8414 section 3.1, then OpenID Connect Discovery
    /// section 4.
    pub(super) fn metadata(&self) -> &[EndpointUrl; 2] {
        &self.metadata
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.identifier, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_both_specifications_have_it() {
        for (issuer, oauth, openid) in [
            (
                "https://as.example",
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ),
            (
                "https://as.example/",
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ),
            (
                "https://as.example:8443/realms/main/",
                "https://as.example:8443/.well-known/oauth-authorization-server/realms/main",
                "https://as.example:8443/realms/main/.well-known/openid-configuration",
            ),
        ] {
            let urls = Issuer::parse(issuer).expect(issuer).metadata.map(|url| url.to_string());
            assert_eq!(urls, [oauth, openid], "{issuer}");
        }
    }

    #[test]
    fn an_issuer_has_neither_query_nor_fragment_nor_user() {
        for issuer in ["", "as.example", "https://as/?a=b", "https://as/#a", "https://u@as/"] {
            let error = Issuer::parse(issuer).expect_err(issuer);
            assert!(error.is_config() && error.to_string().starts_with("the issuer"), "{error}");
        }
    }
}
