use http::Request;

use crate::{cache::TokenCache, rejection::Rejection, target::Target, token::Token};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tokens: TokenCache,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
}

impl Settings {
    /// Replaces whatever there is, so that exactly one value is sent.
    #[inline]
    pub(crate) fn attach<B>(&self, request: &mut Request<B>, token: &Token) {
        request.headers_mut().insert(self.target.header.clone(), token.header_value().clone());
    }
}
