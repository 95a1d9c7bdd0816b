//! How many token requests a fleet costs its issuer.

use std::collections::HashSet;

use tokio::time::sleep;

use super::support::{Fleet, all};
use crate::support::{Issuer, Trouble, seconds};

fn distinct(tokens: Vec<String>) -> usize {
    tokens.into_iter().collect::<HashSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_of_many_replicas_is_one_token_request() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(1)));
    let tokens = all(&fleet.replicas(100)).await;
    assert_eq!(distinct(tokens), 1);
    assert_eq!(fleet.issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_renewal_of_a_fleet_is_one_token_request() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(1)));
    let replicas = fleet.replicas(20);
    let hour = tokio::time::Instant::now() + seconds(3600);
    let mut tokens = HashSet::new();
    while tokio::time::Instant::now() < hour {
        let now = all(&replicas).await;
        tokens.extend(now);
        sleep(seconds(1)).await;
    }
    assert_eq!(fleet.issuer.fetches(), tokens.len());
    assert!((12..=16).contains(&tokens.len()), "{} tokens in an hour", tokens.len());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_one_token_request() {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(seconds(1)));
    let replicas = fleet.replicas(20);
    all(&replicas).await;
    for replica in &replicas {
        replica.reject(&replica.peek().unwrap());
    }
    let tokens = all(&replicas).await;
    assert_eq!(tokens, vec!["t2"; 20]);
    assert_eq!(fleet.issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_is_asked_by_each_replica_and_each_gets_the_error() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.issuer.trouble(Trouble::Refuses);
    for replica in fleet.replicas(3) {
        assert!(replica.token().await.unwrap_err().is_refused());
    }
    assert_eq!(fleet.issuer.fetches(), 3);
}
