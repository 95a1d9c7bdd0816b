use crate::{cache::TokenCache, rejection::Rejection, target::Target};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tokens: TokenCache,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
}
