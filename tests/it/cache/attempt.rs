//! A token for what does not go through the layer: one attempt, and another after a refusal.

use std::{
    cell::{Cell, RefCell},
    future::ready,
    rc::Rc,
    sync::Arc,
};

use tokio::time::{Instant, advance};
use tower_bearer::{FetchReason, TokenCache};

use crate::support::*;

#[derive(Debug, PartialEq)]
enum Failure {
    Unauthorized,
    Broken,
}

/// What a server says to this token.
fn login(issuer: &Issuer, token: &str) -> Result<String, Failure> {
    if issuer.accepts(token) { Ok(token.to_owned()) } else { Err(Failure::Unauthorized) }
}

fn unauthorized<T>(outcome: &Result<T, Failure>) -> bool {
    matches!(outcome, Err(Failure::Unauthorized))
}

async fn log_in(cache: &TokenCache, issuer: &Issuer) -> Result<String, Failure> {
    cache.attempt(async |token| login(issuer, token.expose()), unauthorized).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_not_refused_is_the_only_one() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let attempts = Cell::new(0);
    for failed in [false, true] {
        let outcome = cache
            .attempt(
                async |_| {
                    attempts.set(attempts.get() + 1);
                    if failed { Err(Failure::Broken) } else { Ok(()) }
                },
                unauthorized,
            )
            .await
            .unwrap();
        assert_eq!(outcome.is_err(), failed);
    }
    assert_eq!((attempts.get(), issuer.fetches()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_attempt_is_made_once_more_with_another_token() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    for wanted in ["t1", "t2", "t3"] {
        assert_eq!(log_in(&cache, &issuer).await.unwrap(), wanted);
        issuer.revoke(wanted);
    }
    let reasons = [FetchReason::Empty, FetchReason::Rejected, FetchReason::Rejected];
    assert_eq!(issuer.lock().reasons, reasons);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_may_also_be_in_what_succeeds() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let mut tokens = Vec::new();
    let status = cache
        .attempt(
            |token| {
                tokens.push(token.expose().to_owned());
                ready(Ok::<u16, Failure>(if tokens.len() == 1 { 401 } else { 200 }))
            },
            |outcome| matches!(outcome, Ok(401)),
        )
        .await;
    assert_eq!(status.unwrap(), Ok(200));
    assert_eq!(tokens, ["t1", "t2"]);
}

#[tokio::test(start_paused = true)]
async fn two_attempts_are_all_and_the_second_outcome_is_the_callers() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let mut attempts = 0;
    let outcome = cache.attempt(
        |_| {
            attempts += 1;
            ready(Err::<(), _>(attempts))
        },
        Result::is_err,
    );
    assert_eq!(outcome.await.unwrap(), Err(2));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_renewed_meanwhile_is_used_without_a_fetch() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let tokens = RefCell::new(Vec::new());
    let outcome = cache.attempt(
        async |token| {
            tokens.borrow_mut().push(token.expose().to_owned());
            if tokens.borrow().len() == 1 {
                // The first attempt takes its time, while others are refused and heal.
                issuer.revoke("t1");
                assert_eq!(log_in(&cache, &issuer).await.unwrap(), "t2");
            }
            login(&issuer, token.expose())
        },
        unauthorized,
    );
    assert_eq!(outcome.await.unwrap().unwrap(), "t2");
    assert_eq!(*tokens.borrow(), ["t1", "t2"]);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_another_token_the_first_outcome_is_the_callers() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    assert_eq!(log_in(&cache, &issuer).await.unwrap(), "t1");
    issuer.revoke_all();
    issuer.trouble(Trouble::Down);
    let mut attempts = 0;
    let outcome = cache.attempt(
        |_| {
            attempts += 1;
            ready(Err::<(), _>(attempts))
        },
        Result::is_err,
    );
    assert_eq!(outcome.await.unwrap(), Err(1));
    // Suspected, and not destroyed: others may still be accepted with it.
    assert_eq!(cache.token().await.unwrap().expose(), "t1");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_attempted() {
    let issuer = Issuer::default();
    issuer.trouble(Trouble::Refuses);
    let cache = TokenCache::new(issuer);
    let outcome =
        cache.attempt(async |_| -> Result<(), ()> { panic!("attempted") }, Result::is_err).await;
    assert!(outcome.unwrap_err().is_refused());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_everything_costs_the_issuer_a_handful() {
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::new(issuer.clone());
    let started = Instant::now();
    while started.elapsed() < seconds(120) {
        let refused = cache.attempt(async |_| Err::<(), _>(()), Result::is_err).await.unwrap();
        refused.unwrap_err();
        advance(std::time::Duration::from_millis(100)).await;
    }
    let forced = issuer.fetches() - 1;
    assert!(forced as u32 <= handful(seconds(120)), "{forced}");
}

/// As long as each new token is accepted, none of the refusals is held against the next.
#[tokio::test(start_paused = true)]
async fn after_a_good_second_attempt_a_revocation_heals_at_once() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    log_in(&cache, &issuer).await.unwrap();
    for _ in 0..5 {
        issuer.revoke_all();
        log_in(&cache, &issuer).await.unwrap();
        advance(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(issuer.fetches(), 6);
}

/// A connection that breaks says nothing about the token.
#[tokio::test(start_paused = true)]
async fn a_broken_second_attempt_does_not_count_as_accepted() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let mut outcomes = [Failure::Unauthorized, Failure::Broken, Failure::Unauthorized].into_iter();
    let mut next = || ready(Err::<(), _>(outcomes.next().unwrap()));
    for wanted in [Failure::Broken, Failure::Unauthorized] {
        let outcome = cache.attempt(|_| next(), unauthorized).await;
        assert_eq!(outcome.unwrap(), Err(wanted));
    }
    // The token was refused within seconds after it came, so it is not replaced yet.
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_fetch_to_the_next() {
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    log_in(&cache, &issuer).await.unwrap();
    issuer.revoke_all();
    issuer.lock().latency = seconds(2);
    let given_up = tokio::time::timeout(seconds(1), log_in(&cache, &issuer)).await;
    given_up.unwrap_err();
    assert_eq!(log_in(&cache, &issuer).await.unwrap(), "t2");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_drops_its_attempt() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let attempted = Rc::new(());
    let attempt = cache.attempt(
        async |_| {
            let _attempted = attempted.clone();
            std::future::pending::<Result<(), ()>>().await
        },
        Result::is_err,
    );
    tokio::time::timeout(seconds(1), attempt).await.unwrap_err();
    assert_eq!(Rc::strong_count(&attempted), 1);
}

/// What is captured by reference and by value.
#[tokio::test]
async fn attempts_can_be_spawned_whatever_they_capture() {
    struct Server {
        issuer: Issuer,
        tokens: TokenCache,
        name: String,
    }
    impl Server {
        async fn connect(&self) -> Result<String, Failure> {
            let outcome = self.tokens.attempt(
                async |token| {
                    tokio::task::yield_now().await;
                    login(&self.issuer, token.expose())
                        .map(|token| format!("{token} {}", self.name))
                },
                unauthorized,
            );
            outcome.await.unwrap()
        }
    }
    let issuer = Issuer::of(seconds(300));
    let tokens = TokenCache::new(issuer.clone());
    let server = Arc::new(Server { issuer, tokens: tokens.clone(), name: "db".into() });
    let by_reference = tokio::spawn(async move { server.connect().await });
    assert_eq!(by_reference.await.unwrap().unwrap(), "t1 db");

    let by_value = tokio::spawn(async move {
        let mut connections = vec![String::from("none")];
        let outcome = tokens
            .attempt(
                |token| {
                    connections.push(token.expose().to_owned());
                    let connections = connections.clone();
                    async move {
                        tokio::task::yield_now().await;
                        Ok::<_, Failure>(connections.len())
                    }
                },
                unauthorized,
            )
            .await;
        outcome.unwrap()
    });
    assert_eq!(by_value.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_need_not_be_send() {
    let cache = TokenCache::new(Issuer::of(seconds(300)));
    let seen = Rc::new(Cell::new(0));
    let outcome = cache.attempt(
        async |_| {
            seen.set(seen.get() + 1);
            Ok::<_, Failure>(seen.clone())
        },
        unauthorized,
    );
    assert_eq!(outcome.await.unwrap().unwrap().get(), 1);
}
