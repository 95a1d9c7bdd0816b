//! A cache that has one token and fetches none.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{runtime::Handle, time::advance};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, NotReplayed, Token, TokenCache};

use crate::support::*;

const URI: &str = "https://api.example.com/orders";

fn fixed() -> Token {
    Token::bearer("t1").unwrap()
}

#[test]
fn a_fixed_token_needs_no_runtime() {
    let cache = TokenCache::fixed(fixed());
    let Poll::Ready(token) = pin!(cache.token()).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("there is something to wait for");
    };
    assert_eq!(token.unwrap().expose(), "t1");
    assert_eq!(cache.status().expires_in(), Some(Duration::MAX));

    let cache = TokenCache::fixed(fixed().expires_in(Duration::ZERO));
    let Poll::Ready(token) = pin!(cache.token()).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("there is something to wait for");
    };
    let error = token.unwrap_err();
    assert!(error.to_string().contains("a fixed token"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_of_unknown_lifetime_does_not_expire() {
    let cache = TokenCache::fixed(fixed());
    advance(seconds(365 * 24 * 3600)).await;
    assert_eq!(cache.token().await.unwrap().expose(), "t1");
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_is_used_until_its_stated_expiry_and_never_after() {
    let issuer = Issuer::default();
    let api = Api::of(&issuer);
    let cache = TokenCache::fixed(fixed().expires_in(seconds(60)));
    let mut client = BearerAuthLayer::new(cache.clone()).layer(api.clone());
    advance(seconds(59)).await;
    assert_eq!(send(&mut client, get(URI)).await.unwrap().status(), 200);
    advance(seconds(1)).await;
    let error = cache.token().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("over a fetcher"), "{error}");
    assert!(cache.peek().is_none());
    send(&mut client, get(URI)).await.unwrap_err();
    assert_eq!(api.seen(), ["t1"]);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_that_an_api_refuses_stays_and_the_401_is_the_callers() {
    let issuer = Issuer::default();
    let api = Api::of(&issuer).rejecting_everything();
    let cache = TokenCache::fixed(fixed());
    let mut changes = cache.changes();
    let mut client = BearerAuthLayer::new(cache.clone()).layer(api.clone());
    for _ in 0..20 {
        let response = send(&mut client, get(URI)).await.unwrap();
        assert_eq!(response.status(), 401);
        match response.extensions().get() {
            Some(NotReplayed::NoToken(error)) => assert!(error.is_config(), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(api.seen(), ["t1"; 20]);
    cache.reject(&cache.peek().unwrap());
    assert!(!cache.status().is_rejected());
    assert_eq!(cache.token().await.unwrap().expose(), "t1");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    drop((client, cache));
    assert!(changes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_cache_that_was_refused_is_replaced_by_the_fixed_one() {
    let cache = TokenCache::fixed(fixed());
    cache.reject(&Token::bearer("t0").unwrap());
    assert_eq!(cache.token().await.unwrap().expose(), "t1");
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_is_not_revoked() {
    let cache = TokenCache::fixed(fixed());
    let error = cache.revoke().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("a fixed token"), "{error}");
    assert_eq!(cache.token().await.unwrap().expose(), "t1");
}
