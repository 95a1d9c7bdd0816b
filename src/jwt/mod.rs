//! How a JWT is signed, and the crypto library behind it.

mod algorithm;
pub(crate) mod crypto;

pub use self::algorithm::JwtAlgorithm;
pub(crate) use self::algorithm::pkcs8;
