//! How a JWT is signed, and the crypto library behind it.

#[cfg(feature = "jwt")]
mod algorithm;
pub(crate) mod crypto;

#[cfg(feature = "jwt")]
pub use self::algorithm::JwtAlgorithm;
#[cfg(feature = "shared")]
pub(crate) use self::crypto::sha256_hex;
