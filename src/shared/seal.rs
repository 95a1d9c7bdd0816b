//! Sealing what is stored: AES-256-GCM, with the key's name as associated data.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretSlice};

use crate::{
    error::TokenError,
    jwt::crypto::provider::{
        aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
        rand::{SecureRandom, SystemRandom},
    },
    secret::Secret,
};

const KEY_LENGTH: usize = 32;

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING);

/// Keys. The first seals, and all of them open.
pub(super) struct Seal {
    keys: Vec<LessSafeKey>,
}

impl Seal {
    pub(super) async fn read(secrets: &[Secret]) -> Result<Self, TokenError> {
        if secrets.is_empty() {
            return Err(TokenError::config(
                "there is no sealing key, pass at least one to `Shared::seal`",
            ));
        }
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets {
            keys.push(parse(&secret.read_key().await?)?);
        }
        Ok(Self { keys })
    }

    /// A random nonce, and what is sealed. `None` if the system has no randomness.
    pub(super) fn seal(&self, name: &str, mut text: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.keys.first()?.seal_in_place_append_tag(sealing, Aad::from(name), &mut text).ok()?;
        Some([&nonce[..], &text].concat())
    }

    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), sealed.to_vec());
            let length = key.open_in_place(nonce, Aad::from(name), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        })
    }
}

/// 32 bytes, or their base64 with white space around it.
fn parse(read: &SecretSlice<u8>) -> Result<LessSafeKey, TokenError> {
    let read = read.expose_secret();
    let decoded;
    let bytes = match read.len() {
        KEY_LENGTH => read,
        _ => {
            let text = read.trim_ascii();
            let engine =
                if text.iter().any(|byte| b"-_".contains(byte)) { URL_SAFE } else { STANDARD };
            decoded = SecretSlice::from(engine.decode(text).unwrap_or_default());
            decoded.expose_secret()
        }
    };
    let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| {
        TokenError::config(format!(
            "a sealing key is neither 32 bytes nor their base64, but {} bytes: make one with \
             `openssl rand -base64 32`",
            read.len()
        ))
    })?;
    Ok(LessSafeKey::new(key))
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &[[u8; KEY_LENGTH]]) -> Seal {
        let keys = keys.iter().map(|key| parse(&key.to_vec().into()).unwrap());
        Seal { keys: keys.collect() }
    }

    #[test]
    fn what_is_sealed_for_one_name_opens_for_no_other() {
        let seal = seal(&[[1; KEY_LENGTH]]);
        let sealed = seal.seal("orders", b"token".to_vec()).unwrap();
        assert_eq!(seal.open("orders", &sealed).as_deref(), Some(&b"token"[..]));
        assert_eq!(seal.open("billing", &sealed), None);
    }

    #[test]
    fn the_first_key_seals_and_all_of_them_open() {
        let (old, new) = ([1; KEY_LENGTH], [2; KEY_LENGTH]);
        let sealed = seal(&[old, new]).seal("orders", b"token".to_vec()).unwrap();
        assert!(seal(&[new, old]).open("orders", &sealed).is_some());
        assert!(seal(&[new]).open("orders", &sealed).is_none());
    }
}
