use secrecy::{ExposeSecret, SecretString};

use super::secret::Secret;
use crate::error::TokenError;

/// What is in place of a secret that has not been read.
const PLACEHOLDER: &str = "-";

/// The secrets that do not stay the same, as they were read for one token request.
#[derive(Default)]
pub(crate) struct ResolvedSecrets {
    texts: Vec<(Secret, SecretString)>,
}

impl ResolvedSecrets {
    /// Each place is read once, even if several secrets are in it.
    pub(crate) async fn read(secrets: Vec<&Secret>) -> Result<Self, TokenError> {
        let mut resolved = Self::default();
        for secret in secrets {
            if secret.fixed().is_none() && resolved.find(secret).is_none() {
                resolved.texts.push((secret.clone(), secret.read().await?));
            }
        }
        Ok(resolved)
    }

    /// The text, if it is known. It is not while a client is only being built.
    pub(crate) fn find<'a>(&'a self, secret: &'a Secret) -> Option<&'a str> {
        secret.fixed().or_else(|| {
            let found = self.texts.iter().find(|(other, _)| other.is_same(secret));
            found.map(|(_, text)| text.expose_secret())
        })
    }

    /// The text, or something that stands for it.
    pub(crate) fn text<'a>(&'a self, secret: &'a Secret) -> &'a str {
        self.find(secret).unwrap_or(PLACEHOLDER)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// One of these is another text than before.
    pub(crate) fn differs_in(&self, secrets: &[&Secret], before: &Self) -> bool {
        secrets.iter().any(|secret| self.find(secret) != before.find(secret))
    }
}
