//! `Dpop`: requests for tokens that are bound to a key (RFC 9449 section 5).

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;

use super::{
    binding::{SentProof, TokenBinding},
    builder::ClientCredentialsBuilder,
};
use crate::{
    dpop::{DPOP, DpopKey, Proof, TargetUri},
    error::{Kind, TokenError},
    http::Origin,
    secret::Redactor,
    token::Token,
};

/// Tokens that are bound to a key (RFC 9449), for [`dpop`](crate::ClientCredentialsBuilder::dpop).
#[derive(Clone, Debug)]
pub struct Dpop {
    key: DpopKey,
    accept_bearer: bool,
}

impl Dpop {
    /// Bound to this key. A bearer token in the response is an error that
    /// [`is_unsupported_token_type`](crate::TokenError::is_unsupported_token_type).
    pub fn new(key: DpopKey) -> Self {
        Self { key, accept_bearer: false }
    }

    /// Takes a bearer token as well, from issuers that bind tokens as they see fit. It is sent as a bearer token, to
    /// whoever steals it worth as much as any other.
    pub fn accept_bearer(mut self) -> Self {
        self.accept_bearer = true;
        self
    }
}

/// What the tokens are bound to.
impl<C> ClientCredentialsBuilder<C> {
    /// Asks for tokens that are bound to a key (RFC 9449), or with `None` for bearer tokens, the default. Each token
    /// request then has a proof, and [`BearerAuthLayer`](crate::BearerAuthLayer) sends such a token as
    /// `Authorization: DPoP`, with a proof for each request.
    ///
    /// A request that the issuer refuses with `use_dpop_nonce` (RFC 9449 section 8) is sent once more at once,
    /// with the nonce that came with the refusal.
    ///
    /// ```
    /// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
    /// use tower_bearer::{ClientCredentials, Dpop, DpopKey, JwtAlgorithm};
    ///
    /// let key = DpopKey::generate(JwtAlgorithm::ES256)?;
    /// let credentials =
    ///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", "secret")
    ///         .dpop(Dpop::new(key))
    ///         .build()?;
    /// # Ok(()) }
    /// # request(()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses it together with [`token_prefix`](Self::token_prefix).
    pub fn dpop(self, dpop: impl Into<Option<Dpop>>) -> Self {
        let binding = dpop.into().map(|dpop| Arc::new(dpop) as Arc<dyn TokenBinding>);
        self.change(|credentials| credentials.request.binding = binding)
    }
}

impl TokenBinding for Dpop {
    fn prove(
        &self,
        request: &mut Request<Full<Bytes>>,
        redactor: &mut Redactor,
        now: SystemTime,
    ) -> Result<SentProof, TokenError> {
        let origin = Origin::of(request.uri()).expect("a token endpoint has a host");
        let nonce = self.key.issuer_nonces().of(&origin);
        let proof = Proof {
            method: request.method(),
            target: TargetUri { origin: &origin, path: request.uri().path() },
            access_token: None,
            nonce: nonce.as_deref(),
            now,
        };
        let proof = proof.sign(&self.key)?;
        redactor.hide(proof.to_str().unwrap_or_default());
        request.headers_mut().insert(DPOP, proof);
        let key = self.key.clone();
        Ok(Box::new(move |headers: &HeaderMap| {
            let given = key.issuer_nonces().note(&origin, headers);
            given.is_some() && given != nonce
        }))
    }

    fn token(&self, access_token: &str) -> Result<Token, TokenError> {
        Token::dpop(access_token, &self.key)
    }

    fn check_bearer(&self) -> Result<(), TokenError> {
        if self.accept_bearer {
            return Ok(());
        }
        let message = "the issuer gave a bearer token where one bound by DPoP was asked for, switch DPoP on \
                       in the client's registration, or call `Dpop::accept_bearer`";
        Err(TokenError::new(Kind::UnsupportedTokenType, message))
    }

    #[cfg(feature = "shared")]
    fn identity(&self) -> serde_json::Value {
        serde_json::json!({ "jkt": self.key.thumbprint(), "accept_bearer": self.accept_bearer })
    }
}
