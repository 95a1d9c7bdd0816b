//! An async closure that holds an `Rc` across an await.

use std::rc::Rc;

use tower_bearer::{Token, TokenCache, fetch_fn};

fn main() {
    let tokens = TokenCache::new(fetch_fn(async |_| {
        let name = Rc::new("abc");
        tokio::task::yield_now().await;
        Token::bearer(&name)
    }));
    drop(tokens);
}
