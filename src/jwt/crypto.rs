//! The crypto library: ring, or aws-lc-rs, which has ring's API. Nothing else names either of them.

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!(
    "signing and sealing need a crypto library: beside `dpop` or `shared`, switch on the feature `ring` \
     of tower-bearer, or `aws-lc-rs`, which can be built for FIPS"
);

// With both features, the one that somebody may have to use. Who asks for ring can do with the other.
#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc_rs as provider;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
pub(crate) use ring as provider;

use std::fmt::Write;

use self::provider::digest::{SHA256, digest};
use self::provider::rand::{SecureRandom, SystemRandom};
use self::provider::{
    error::KeyRejected,
    signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, RsaKeyPair},
};

/// 128 bits that nobody can guess.
pub(crate) fn random_bits() -> [u8; 16] {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).expect("the system has randomness");
    bits
}

/// For names that show nothing of what they stand for.
pub(crate) fn sha256_hex(text: &str) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
    }
    hex
}

// What the two do not have in common.

pub(crate) fn ecdsa_key(
    curve: &'static EcdsaSigningAlgorithm,
    pkcs8: &[u8],
) -> Result<EcdsaKeyPair, KeyRejected> {
    #[cfg(feature = "aws-lc-rs")]
    return EcdsaKeyPair::from_pkcs8(curve, pkcs8);
    #[cfg(not(feature = "aws-lc-rs"))]
    return EcdsaKeyPair::from_pkcs8(curve, pkcs8, &SystemRandom::new());
}

pub(crate) fn rsa_signature_len(key: &RsaKeyPair) -> usize {
    #[cfg(feature = "aws-lc-rs")]
    return key.public_modulus_len();
    #[cfg(not(feature = "aws-lc-rs"))]
    return key.public().modulus_len();
}
