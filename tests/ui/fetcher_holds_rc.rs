//! A fetcher that is itself not `Send`.

use std::rc::Rc;

use tower_bearer::{BoxError, FetchContext, Token, TokenCache, TokenFetcher};

struct Named(Rc<str>);

impl TokenFetcher for Named {
    type Error = BoxError;

    async fn fetch(&self, _: FetchContext) -> Result<Token, Self::Error> {
        Ok(Token::bearer(&self.0)?)
    }
}

fn main() {
    TokenCache::new(Named("abc".into()));
}
