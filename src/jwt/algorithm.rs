//! The signature algorithms of a JWT (RFC 7518).

use std::fmt;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::crypto::{
    ecdsa_key,
    provider::{
        hmac,
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
            RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
            RsaKeyPair,
        },
    },
    rsa_signature_len,
};
use crate::error::TokenError;

/// How a [`Jwt`](crate::Jwt) is signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
///
/// The issuer knows which one the client is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSA with PKCS#1 padding and SHA-256.
    RS256,
    /// RSA with PKCS#1 padding and SHA-384.
    RS384,
    /// RSA with PKCS#1 padding and SHA-512.
    RS512,
    /// RSA with PSS padding and SHA-256.
    PS256,
    /// RSA with PSS padding and SHA-384.
    PS384,
    /// RSA with PSS padding and SHA-512.
    PS512,
    /// ECDSA on the curve P-256 with SHA-256.
    ES256,
    /// ECDSA on the curve P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
    /// HMAC with SHA-256, over a secret of at least 32 bytes.
    HS256,
    /// HMAC with SHA-384, over a secret of at least 48 bytes.
    HS384,
    /// HMAC with SHA-512, over a secret of at least 64 bytes.
    HS512,
}

impl JwtAlgorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::RS256,
            Self::RS384,
            Self::RS512,
            Self::PS256,
            Self::PS384,
            Self::PS512,
            Self::ES256,
            Self::ES384,
            Self::EdDSA,
            Self::HS256,
            Self::HS384,
            Self::HS512,
        ];
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(crate) fn sign(self, key: &str, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        match self {
            Self::RS256 => self.rsa(&RSA_PKCS1_SHA256, key, message),
            Self::RS384 => self.rsa(&RSA_PKCS1_SHA384, key, message),
            Self::RS512 => self.rsa(&RSA_PKCS1_SHA512, key, message),
            Self::PS256 => self.rsa(&RSA_PSS_SHA256, key, message),
            Self::PS384 => self.rsa(&RSA_PSS_SHA384, key, message),
            Self::PS512 => self.rsa(&RSA_PSS_SHA512, key, message),
            Self::ES256 => self.ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, key, message),
            Self::ES384 => self.ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, key, message),
            Self::EdDSA => self.ed25519(key, message),
            Self::HS256 => self.hmac(hmac::HMAC_SHA256, key, message),
            Self::HS384 => self.hmac(hmac::HMAC_SHA384, key, message),
            Self::HS512 => self.hmac(hmac::HMAC_SHA512, key, message),
        }
    }

    fn rsa(
        self,
        padding: &'static dyn RsaEncoding,
        key: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let key = match private_key(key).map_err(|why| self.unfit(why))? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(self.unfit("the key is in the form of another algorithm")),
        };
        let key = key.map_err(|error| self.unfit(error))?;
        let mut signature = vec![0; rsa_signature_len(&key)];
        key.sign(padding, &SystemRandom::new(), message, &mut signature)
            .map_err(|error| self.unfit(error))?;
        Ok(signature)
    }

    fn ecdsa(
        self,
        curve: &'static EcdsaSigningAlgorithm,
        key: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let key = pkcs8(key).map_err(|why| self.unfit(why))?;
        let key = ecdsa_key(curve, key.secret_pkcs8_der()).map_err(|error| self.unfit(error))?;
        let signature =
            key.sign(&SystemRandom::new(), message).map_err(|error| self.unfit(error))?;
        Ok(signature.as_ref().to_vec())
    }

    fn ed25519(self, key: &str, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        // OpenSSL leaves out the public key, to check the private one against.
        let key = pkcs8(key).map_err(|why| self.unfit(why))?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der())
            .map_err(|error| self.unfit(error))?;
        Ok(key.sign(message).as_ref().to_vec())
    }

    fn hmac(
        self,
        hash: hmac::Algorithm,
        secret: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let shortest = hash.digest_algorithm().output_len();
        if secret.len() < shortest {
            return Err(TokenError::config(format!(
                "the client's secret is shorter than the {shortest} bytes that {} needs, \
                 have the issuer make a longer one or use `private_key_jwt`",
                self.name()
            )));
        }
        let key = hmac::Key::new(hash, secret.as_bytes());
        Ok(hmac::sign(&key, message).as_ref().to_vec())
    }

    fn unfit(self, why: impl fmt::Display) -> TokenError {
        let message = format!(
            "the key cannot sign with {}, pass one of that kind as PEM, \
             in PKCS#8 as `openssl pkcs8 -topk8 -nocrypt` writes it",
            self.name()
        );
        TokenError::config(message).with_source(why.to_string())
    }
}

/// The key in a PEM, or why there is none.
pub(crate) fn pkcs8(pem: &str) -> Result<PrivatePkcs8KeyDer<'static>, &'static str> {
    match private_key(pem)? {
        PrivateKeyDer::Pkcs8(der) => Ok(der),
        _ => Err("the key is not in PKCS#8"),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "there is no private key in it that is not encrypted")
}
