//! `DpopKey`: the key pair that tokens are bound to.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

use super::nonces::Nonces;
use crate::{
    error::TokenError,
    jwt::{
        JwtAlgorithm,
        crypto::{
            ecdsa_key,
            provider::{
                digest::{SHA256, digest},
                rand::SystemRandom,
                signature::{
                    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
                    Signature,
                },
            },
        },
        pkcs8,
    },
    secret::Secret,
};

/// What the encoding of a public point on P-256 begins with, if both coordinates follow.
const UNCOMPRESSED: u8 = 4;

/// The key pair that tokens are bound to by DPoP (RFC 9449): P-256 for `ES256`, or Ed25519 for `EdDSA`.
///
/// A token that is bound to a key is of no use to anyone who does not have it. The key proves itself with a
/// signature in each request, at the token endpoint as well as at the API.
///
/// Most services [`generate`](Self::generate) a key when they start, and never store it. A key
/// [from PEM](Self::from_pem) is for issuers that know their clients' keys beforehand. `Shared` does not
/// share bound tokens, whatever the key. Give each client a key of its own, and give none to two issuers.
///
/// Cloning is cheap. `Debug` shows the thumbprint alone.
///
/// ```
/// use tower_bearer::{DpopKey, JwtAlgorithm};
///
/// # fn main() -> Result<(), tower_bearer::TokenError> {
/// let key = DpopKey::generate(JwtAlgorithm::ES256)?;
/// assert!(key.public_jwk().contains(r#""kty":"EC""#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DpopKey {
    inner: Arc<Inner>,
}

struct Inner {
    pair: Pair,
    jwk: String,
    thumbprint: String,
    /// What the proofs' first part is: it is the same in all of them.
    header: String,
    /// What issuers and APIs want to see in a proof, apart (RFC 9449 section 9).
    issuer_nonces: Nonces,
    api_nonces: Nonces,
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl DpopKey {
    /// A new key, for this process alone.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) for another algorithm than `ES256` and `EdDSA`.
    pub fn generate(algorithm: JwtAlgorithm) -> Result<Self, TokenError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            JwtAlgorithm::ES256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            JwtAlgorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random),
            _ => {
                return Err(TokenError::config(
                    "a DPoP key signs with ES256 or EdDSA, pass one of these",
                ));
            }
        };
        Self::from_pkcs8(pkcs8.expect("the system has randomness").as_ref())
    }

    /// The private key that this PEM has, in PKCS#8 (`BEGIN PRIVATE KEY`) and not encrypted. The kind of
    /// the key decides the algorithm. A secret from a file or a closure is read once, now.
    ///
    /// # Errors
    ///
    /// [`is_config`](TokenError::is_config) if there is no such key in it, or one that is neither on P-256 nor
    /// Ed25519. If the secret cannot be read, the error is that of the secret.
    pub async fn from_pem(pem: impl Into<Secret>) -> Result<Self, TokenError> {
        let pem = pem.into().read().await?;
        let der = pkcs8(pem.expose_secret()).map_err(unfit)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, TokenError> {
        let pair = match ecdsa_key(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
            Ok(pair) => Pair::Es256(Box::new(pair)),
            // OpenSSL leaves out the public key, to check the private one against.
            Err(_) => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
                Ok(pair) => Pair::EdDsa(Box::new(pair)),
                Err(_) => return Err(unfit("the key is neither on P-256 nor Ed25519")),
            },
        };
        let jwk = pair.public_jwk();
        let thumbprint = thumbprint(&jwk);
        let algorithm = pair.algorithm();
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{jwk}}}"#);
        let header = encode(header);
        let (issuer_nonces, api_nonces) = Default::default();
        let inner = Inner { pair, jwk, thumbprint, header, issuer_nonces, api_nonces };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The public key as a JSON Web Key (RFC 7517), for an issuer that wants to know it beforehand.
    pub fn public_jwk(&self) -> &str {
        &self.inner.jwk
    }

    /// The thumbprint of the public key, with SHA-256 and in base64url (RFC 7638). It is `jkt` in the
    /// confirmation claim of a token (RFC 9449 section 6.1).
    pub fn thumbprint(&self) -> &str {
        &self.inner.thumbprint
    }

    pub(crate) fn issuer_nonces(&self) -> &Nonces {
        &self.inner.issuer_nonces
    }

    pub(crate) fn api_nonces(&self) -> &Nonces {
        &self.inner.api_nonces
    }

    /// The JWT with these claims, in its compact form (RFC 7515 section 7.1).
    pub(super) fn sign(&self, claims: &[u8]) -> String {
        let mut jwt = String::with_capacity(self.inner.header.len() + claims.len() * 4 / 3 + 100);
        jwt.push_str(&self.inner.header);
        jwt.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
        let signature = self.inner.pair.sign(jwt.as_bytes());
        jwt.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        jwt
    }
}

impl Pair {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The members that RFC 7638 section 3.2 and RFC 8037 section 2 require, in their order and without
    /// a space: what the thumbprint is made of.
    fn public_jwk(&self) -> String {
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let point = point.strip_prefix(&[UNCOMPRESSED]).unwrap_or(point);
                let (x, y) = point.split_at(point.len() / 2);
                let (x, y) = (encode(x), encode(y));
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::EdDsa(pair) => {
                let x = encode(pair.public_key());
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Signature {
        match self {
            Self::Es256(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("the system has randomness")
            }
            Self::EdDsa(pair) => pair.sign(message),
        }
    }
}

/// Of a key whose JWK has the required members alone, in their order (RFC 7638 section 3).
fn thumbprint(jwk: &str) -> String {
    encode(digest(&SHA256, jwk.as_bytes()))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unfit(why: &'static str) -> TokenError {
    let message = "the key cannot sign DPoP proofs, pass a P-256 or an Ed25519 key as PEM, \
                   in PKCS#8 as `openssl pkcs8 -topk8 -nocrypt` writes it";
    TokenError::config(message).with_source(why)
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("algorithm", &self.inner.pair.algorithm())
            .field("thumbprint", &self.inner.thumbprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        for (jwk, expected) in [
            // RFC 7638 section 3.1.
            (
                r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#,
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
            // RFC 9449 section 6.1.
            (
                r#"{"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
                "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ),
        ] {
            assert_eq!(thumbprint(jwk), expected);
        }
    }

    #[test]
    fn the_key_of_rfc_8037_has_its_public_key_and_thumbprint() {
        // Appendix A.1 to A.3, in PKCS#8 (RFC 8410 section 7).
        let d =
            BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let key = DpopKey::from_pkcs8(&[&prefix[..], &d].concat()).unwrap();
        assert_eq!(
            key.public_jwk(),
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        );
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
