//! How many token requests a fleet costs its issuer.

use std::{collections::HashSet, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, ServiceExt};
use tower_bearer::{BearerAuthLayer, TokenCache, TokenFetcher};

use super::support::{Fleet, all};
use crate::support::{Api, Issuer, Trouble, get, seconds};

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
    let hour = Instant::now() + seconds(3600);
    let mut tokens = HashSet::new();
    while Instant::now() < hour {
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
async fn each_replica_asks_an_issuer_that_is_down() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    fleet.issuer.trouble(Trouble::Refuses);
    let begun = Instant::now();
    for replica in fleet.replicas(3) {
        assert!(replica.token().await.unwrap_err().is_refused());
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "a lock was not let go");
    assert_eq!(fleet.issuer.fetches(), 3);
}

/// What came of the requests of eight processes to an API whose issuer keeps one token of a client alive.
struct Tally {
    requests: usize,
    refused: usize,
    replayed: usize,
    token_requests: usize,
}

async fn eight_processes<F: TokenFetcher>(
    process: impl Fn(&Fleet) -> F,
    a_second: u64,
    time: Duration,
) -> Tally {
    let fleet = Fleet::of(Issuer::of(seconds(300)).latency(Duration::from_millis(100)));
    fleet.issuer.lock().one_token = true;
    fleet.store.latency(Duration::from_millis(1));
    let api = Api::of(&fleet.issuer).latency(Duration::from_millis(20));
    let clients: Vec<_> = (0..8)
        .map(|_| BearerAuthLayer::new(TokenCache::new(process(&fleet))).layer(api.clone()))
        .collect();

    let (mut requests, mut refused) = (0, 0);
    let mut under_way = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / a_second as u32);
    let end = Instant::now() + time;
    while ticks.tick().await < end {
        let client = clients[requests % clients.len()].clone();
        requests += 1;
        under_way.spawn(client.oneshot(get("https://api.example.com/orders")));
        while let Some(response) = under_way.try_join_next() {
            refused += usize::from(response.unwrap().unwrap().status() != 200);
        }
    }
    for response in under_way.join_all().await {
        refused += usize::from(response.unwrap().status() != 200);
    }
    let replayed = api.seen().len() - requests;
    Tally { requests, refused, replayed, token_requests: fleet.issuer.fetches() }
}

#[tokio::test(start_paused = true)]
async fn sharing_survives_an_issuer_whose_new_token_ends_older_ones() {
    let tally = eight_processes(Fleet::shared, 200, seconds(3600)).await;
    assert_eq!(tally.requests, 720_000);
    assert_eq!(tally.refused, 0);
    // A token is renewed when 240 to 270 of its 300 seconds are over.
    assert!((14..=16).contains(&tally.token_requests), "{} token requests", tally.token_requests);
    // Those of one moment, for each renewal and process.
    println!("{} refusals were healed, {} token requests", tally.replayed, tally.token_requests);
    assert!(tally.replayed < 3 * 8 * tally.token_requests, "{} second attempts", tally.replayed);
}

#[tokio::test(start_paused = true)]
async fn without_sharing_new_tokens_of_others_end_ones_own_for_ever() {
    let tally = eight_processes(|fleet| fleet.issuer.clone(), 200, seconds(10)).await;
    assert!(tally.refused > tally.requests / 10, "{} of {}", tally.refused, tally.requests);
}
