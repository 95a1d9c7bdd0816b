//! JSON Web Tokens (RFC 7519) that are signed here.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    client_credentials::message::RequestContext,
    error::TokenError,
    jwt::{JwtAlgorithm, crypto::random_bits},
    secret::Secret,
};

const LIFETIME: Duration = Duration::from_secs(60);
const BACKDATE: Duration = Duration::from_secs(5);
const LONGEST_BACKDATE: Duration = Duration::from_secs(30);

/// A JWT that is signed anew, with a `jti` of its own, for each token request (RFC 7523 section 3).
///
/// With [`ClientAuth::assertion`](crate::ClientAuth::assertion) it is what OpenID Connect calls
/// `private_key_jwt` or, over the client's secret, `client_secret_jwt`. With
/// [`Grant::jwt_bearer`](crate::Grant::jwt_bearer) it is the grant itself.
///
/// ```
/// # fn request<C>(client: C, pem: String) -> Result<(), tower_bearer::TokenError> {
/// use tower_bearer::{ClientAuth, ClientCredentials, Jwt, JwtAlgorithm};
///
/// let jwt = Jwt::new(JwtAlgorithm::ES256, pem).kid("2026-08").audience("https://issuer.example");
/// let auth = ClientAuth::assertion(jwt);
/// let credentials =
///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", auth)
///         .build()?;
/// # Ok(()) }
/// # request((), String::new()).unwrap_err();
/// ```
///
/// `iss` and `sub` are the client's id and `aud` is the URL of the token endpoint without its
/// query, or the issuer if the client started from [that](crate::ClientCredentials::discover),
/// unless set otherwise. `iat` and `exp` follow this machine's clock, which therefore has to
/// be about right.
///
/// # Errors
///
/// Setters do not fail: [`build`](crate::ClientCredentialsBuilder::build) reports what is wrong
/// with them and with the key, or the fetch if the key is read only then.
///
/// `Debug` does not show the key.
#[doc(alias = "private_key_jwt")]
#[doc(alias = "client_secret_jwt")]
#[derive(Clone)]
pub struct Jwt {
    algorithm: JwtAlgorithm,
    key: Secret,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    lifetime: Duration,
    backdate: Duration,
    problem: Option<TokenError>,
}

impl Jwt {
    /// Signs with this algorithm and this key: a private key in PEM, PKCS#8 (`BEGIN PRIVATE KEY`)
    /// or for RSA also PKCS#1 (`BEGIN RSA PRIVATE KEY`), and for the `HS` algorithms the client's
    /// secret.
    ///
    /// # Errors
    ///
    /// A key of another kind, in another form or too short: RSA from 2048 to 4096 bits, a secret
    /// no shorter than the hash (RFC 7518 section 3.2), which is 32 bytes for HS256.
    pub fn new(algorithm: JwtAlgorithm, key: impl Into<Secret>) -> Self {
        Self {
            algorithm,
            key: key.into(),
            header: Map::from_iter([("typ".into(), "JWT".into())]),
            claims: Map::new(),
            lifetime: LIFETIME,
            backdate: BACKDATE,
            problem: None,
        }
    }

    /// The `kid`, by which the issuer finds the public key (RFC 7515 section 4.1.4). By default
    /// there is none.
    pub fn kid(self, kid: impl Into<String>) -> Self {
        self.header("kid", kid)
    }

    /// A member of the header, such as `x5t#S256` for Entra ID or a `typ` other than `JWT`.
    ///
    /// # Errors
    ///
    /// `alg`, which follows from [`new`](Self::new).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name == "alg" {
            self.record_problem("`alg` follows from the `JwtAlgorithm`, pass another one");
        }
        self.header.insert(name, value.into().into());
        self
    }

    /// The `aud`, a single text: the issuer's identifier where the issuer wants that, as FAPI 2.0
    /// and the update of RFC 7523 do. The default is the URL of the token endpoint without its
    /// query, or the issuer that the client was given.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience)
    }

    /// Another claim, such as `scope`, or `iss` and `sub` where they are not the client's id, as in
    /// a grant on behalf of a user.
    ///
    /// # Errors
    ///
    /// `exp`, `iat` and `jti`, which are made anew each time.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if matches!(&*name, "exp" | "iat" | "jti") {
            self.record_problem("`exp`, `iat` and `jti` are made anew each time, leave them out");
        }
        self.claims.insert(name, value.into().into());
        self
    }

    /// How long it is good for, in whole seconds. The default is 60 s; issuers refuse what lasts
    /// longer than they like, many from 300 s on.
    ///
    /// # Errors
    ///
    /// Less than a second.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        if lifetime.as_secs() == 0 {
            self.record_problem(
                "a JWT that lasts less than a second expires on its way, let it last 60 s",
            );
        }
        self.lifetime = lifetime;
        self
    }

    /// How far `iat` lies in the past, for issuers whose clock is behind this machine's and that
    /// refuse what comes from the future. `exp` is not moved. The default is 5 s.
    ///
    /// # Errors
    ///
    /// More than 30 s.
    pub fn backdate(mut self, backdate: Duration) -> Self {
        if backdate > LONGEST_BACKDATE {
            self.record_problem(
                "a JWT is backdated by more than 30 s, set this machine's clock instead",
            );
        }
        self.backdate = backdate;
        self
    }

    pub(super) fn key(&self) -> &Secret {
        &self.key
    }

    #[cfg(feature = "shared")]
    /// Without claims of its own it names the client alone, as a secret does.
    pub(super) fn identity(&self) -> Value {
        match self.claims.is_empty() {
            true => Value::Null,
            false => Value::Object(self.claims.clone()),
        }
    }

    pub(super) fn registered_names(&self) -> &'static [&'static str] {
        match self.algorithm {
            JwtAlgorithm::HS256 | JwtAlgorithm::HS384 | JwtAlgorithm::HS512 => {
                &["client_secret_jwt"]
            }
            _ => &["private_key_jwt"],
        }
    }

    /// The JWT in its compact form (RFC 7515 section 7.1). Without a key, nothing but a stand-in.
    pub(super) fn sign(&self, context: RequestContext<'_>) -> Result<String, TokenError> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let mut header = self.header.clone();
        header.insert("alg".into(), self.algorithm.name().into());
        let claims = self.claims(context)?;
        let Some(key) = context.secrets.find(&self.key) else { return Ok("-".into()) };
        let encode = |object| BASE64_URL_SAFE_NO_PAD.encode(Value::Object(object).to_string());
        let message = [encode(header), encode(claims)].join(".");
        let signature = self.algorithm.sign(key, message.as_bytes())?;
        Ok([message, BASE64_URL_SAFE_NO_PAD.encode(signature)].join("."))
    }

    fn claims(&self, context: RequestContext<'_>) -> Result<Map<String, Value>, TokenError> {
        let since_epoch = context.now.duration_since(UNIX_EPOCH).map_err(|_| {
            TokenError::config("this machine's clock is before 1970, set it to sign a JWT")
        })?;
        let mut claims = Map::new();
        for name in ["iss", "sub"] {
            if self.claims.contains_key(name) {
                continue;
            }
            if context.client_id.is_empty() {
                return Err(TokenError::config(format!(
                    "a JWT has no `{name}`, pass a client id or set the claim"
                )));
            }
            claims.insert(name.into(), context.client_id.into());
        }
        claims.insert("aud".into(), context.audience.into());
        claims.extend(self.claims.clone());
        claims.insert("jti".into(), BASE64_URL_SAFE_NO_PAD.encode(random_bits()).into());
        claims.insert("iat".into(), since_epoch.saturating_sub(self.backdate).as_secs().into());
        claims.insert("exp".into(), since_epoch.saturating_add(self.lifetime).as_secs().into());
        Ok(claims)
    }

    fn record_problem(&mut self, problem: &'static str) {
        self.problem.get_or_insert_with(|| TokenError::config(problem));
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("algorithm", &self.algorithm)
            .field("key", &self.key)
            .field("lifetime", &self.lifetime)
            .field("backdate", &self.backdate)
            .finish_non_exhaustive()
    }
}
