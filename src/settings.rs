use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use http::{Request, uri::Authority};

use crate::{
    cache::{Source, TokenCache},
    rejection::Rejection,
    target::Target,
    token::{Token, TokenId},
};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tokens: TokenCache,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
    /// Tells one layer's rejections from another's.
    id: u64,
}

impl Settings {
    pub(crate) fn new(tokens: TokenCache) -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            tokens,
            target: Target::default(),
            rejection: Rejection::Unauthorized,
            id: LAYERS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Who refuses tokens, as far as that can be told: this layer's target, or one of them.
    pub(crate) fn source(&self, authority: Option<&Authority>) -> Source {
        let mut hasher = DefaultHasher::new();
        (self.id, authority).hash(&mut hasher);
        Source(hasher.finish())
    }

    /// Attaches the token, if nobody has to wait for it.
    #[inline]
    pub(crate) fn attach_at_once<B>(&self, request: &mut Request<B>) -> Option<TokenId> {
        self.tokens.at_once(|token| self.attach(request, token))
    }

    /// Replaces whatever there is, so that exactly one value is sent.
    #[inline]
    pub(crate) fn attach<B>(&self, request: &mut Request<B>, token: &Token) -> TokenId {
        request.headers_mut().insert(&self.target.header, token.header_value().clone());
        token.id()
    }
}
