//! A `TokenCache` where a fetcher is expected.

use tower_bearer::{Token, TokenCache, fetch_fn};

fn main() {
    let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
    TokenCache::new(tokens);
}
