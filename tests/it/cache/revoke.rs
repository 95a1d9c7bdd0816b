//! A token that is revoked when its service shuts down (RFC 7009).

use std::{
    future::{Future, pending},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tower_bearer::{
    BoxError, FetchContext, Token, TokenCache, TokenChange, TokenError, TokenFetcher, fetch_fn,
};

use crate::support::*;

/// Tokens `t1`, `t2` and so on, and what it is asked to revoke.
#[derive(Clone, Default)]
struct Revoking {
    fetches: Arc<Mutex<usize>>,
    revoked: Arc<Mutex<Vec<String>>>,
    hangs: bool,
    /// Every fetch but the first fails, after a second.
    fails: bool,
}

impl TokenFetcher for Revoking {
    type Error = BoxError;

    async fn fetch(&self, _: FetchContext) -> Result<Token, BoxError> {
        let number = {
            let mut fetches = self.fetches.lock().unwrap();
            *fetches += 1;
            *fetches
        };
        if self.fails && number > 1 {
            tokio::time::sleep(seconds(1)).await;
            return Err("unavailable".into());
        }
        Ok(Token::bearer(&format!("t{number}"))?.expires_in(seconds(3600)))
    }

    async fn revoke(&self, token: Token) -> Result<(), TokenError> {
        self.revoked.lock().unwrap().push(token.expose().to_owned());
        if self.hangs {
            pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_not_used_again() {
    let fetcher = Revoking::default();
    let tokens = TokenCache::new(fetcher.clone());
    let mut changes = tokens.changes();
    tokens.revoke().await.unwrap();
    assert_eq!(*fetcher.fetches.lock().unwrap(), 0, "there is nothing to revoke");

    tokens.token().await.unwrap();
    // What a hit sees is written by the first one.
    tokens.token().await.unwrap();
    tokens.revoke().await.unwrap();
    assert_eq!(*fetcher.revoked.lock().unwrap(), ["t1"]);
    assert!(tokens.peek().is_none());
    assert_eq!(tokens.status().expires_in(), None);
    tokens.revoke().await.unwrap();
    assert_eq!(*fetcher.revoked.lock().unwrap(), ["t1"], "each token once");
    assert!(matches!(changes.next().await, Some(TokenChange::Fetched)));
    assert!(matches!(changes.next().await, Some(TokenChange::Revoked)));

    assert_eq!(tokens.token().await.unwrap().expose(), "t2");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_revoked_unless_it_is_asked_for() {
    let fetcher = Revoking::default();
    let tokens = TokenCache::new(fetcher.clone());
    let token = tokens.token().await.unwrap();
    tokens.reject(&token);
    tokens.token().await.unwrap();
    drop(tokens);
    tokio::time::sleep(seconds(7200)).await;
    assert!(fetcher.revoked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_not_worth_a_revocation() {
    let fetcher = Revoking::default();
    let tokens = TokenCache::new(fetcher.clone());
    tokens.token().await.unwrap();
    tokio::time::advance(seconds(3600)).await;
    tokens.revoke().await.unwrap();
    assert!(fetcher.revoked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_does_not_fall_back_to_a_revoked_token() {
    let tokens = TokenCache::new(Revoking { fails: true, ..Revoking::default() });
    let token = tokens.token().await.unwrap();
    tokens.reject(&token);
    let waits = async { tokens.token().await };
    let revokes = async { tokens.revoke().await };
    let (waited, revoked) = tokio::join!(waits, revokes);
    revoked.unwrap();
    waited.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_takes_no_longer_than_a_fetch_may() {
    let fetcher = Revoking { hangs: true, ..Revoking::default() };
    let tokens = TokenCache::builder().fetch_timeout(seconds(3)).build(fetcher);
    tokens.token().await.unwrap();
    let before = tokio::time::Instant::now();
    let error = tokens.revoke().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(before.elapsed(), seconds(3));
    assert!(tokens.peek().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_kept_fresh_rests_until_somebody_asks() {
    let fetcher = Revoking::default();
    let tokens = TokenCache::builder().keep_fresh().build(fetcher.clone());
    tokens.token().await.unwrap();
    tokens.revoke().await.unwrap();
    tokio::time::sleep(seconds(24 * 3600)).await;
    assert_eq!(*fetcher.fetches.lock().unwrap(), 1);
    tokens.token().await.unwrap();
    tokio::time::sleep(seconds(4 * 3600)).await;
    assert!(*fetcher.fetches.lock().unwrap() >= 5, "and is kept fresh from then on");
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_cannot_revoke_says_so() {
    let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("abc")));
    tokens.token().await.unwrap();
    let error = tokens.revoke().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("TokenFetcher::revoke"), "{error}");
}

#[test]
fn without_a_runtime_nothing_is_revoked_and_the_token_stays() {
    let fetcher = Revoking::default();
    let tokens = TokenCache::new(fetcher.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(tokens.token()).unwrap();
    let Poll::Ready(revoked) = pin!(tokens.revoke()).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("there is something to wait for");
    };
    let error = revoked.unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    assert!(tokens.peek().is_some());
    runtime.block_on(tokens.revoke()).unwrap();
    assert_eq!(*fetcher.revoked.lock().unwrap(), ["t1"]);
}
