//! The secrets of one token request, after they were read.

use secrecy::{ExposeSecret, SecretString};

use super::source::Secret;
use crate::error::TokenError;

/// Stands for a secret that has not been read.
const PLACEHOLDER: &str = "-";

/// The texts of the secrets that are read anew for each token request. Fixed secrets have their own
/// text.
#[derive(Default)]
pub(crate) struct ResolvedSecrets {
    texts: Vec<(Secret, SecretString)>,
}

impl ResolvedSecrets {
    /// Each file and each closure is read once, even if several secrets come from it.
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

    /// The text, or a placeholder if it is not known.
    pub(crate) fn text<'a>(&'a self, secret: &'a Secret) -> &'a str {
        self.find(secret).unwrap_or(PLACEHOLDER)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether the text of one of these has changed.
    pub(crate) fn differs_in(&self, secrets: &[&Secret], before: &Self) -> bool {
        secrets.iter().any(|secret| self.find(secret) != before.find(secret))
    }
}
