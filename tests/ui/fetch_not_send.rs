//! A fetcher whose future is not `Send`.

use std::rc::Rc;

use tower_bearer::{BoxError, FetchContext, Token, TokenCache, TokenFetcher};

struct Slow;

impl TokenFetcher for Slow {
    type Error = BoxError;

    async fn fetch(&self, _: FetchContext) -> Result<Token, Self::Error> {
        let name = Rc::new("abc");
        tokio::task::yield_now().await;
        Ok(Token::bearer(&name)?)
    }
}

fn main() {
    TokenCache::new(Slow);
}
