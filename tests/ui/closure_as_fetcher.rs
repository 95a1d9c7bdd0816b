//! A closure where a fetcher is expected.

use tower_bearer::{Token, TokenCache};

fn main() {
    TokenCache::new(async |_| Token::bearer("abc"));
}
