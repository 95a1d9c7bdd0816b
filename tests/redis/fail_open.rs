//! A fleet goes on without its store, and shares again when the store is back.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_bearer::{RedisStore, Shared, Token, TokenCache, fetch_fn};

use crate::{proxy::Proxy, server::Server};

const REPLICAS: usize = 4;
/// So short that each phase of a test has renewals.
const LIFETIME: Duration = Duration::from_secs(1);
const SEAL: &str = "an example of a key of 32 bytes.";

/// Replicas with a connection each. No two tokens of the issuer are the same.
struct Fleet {
    issued: Arc<AtomicUsize>,
    replicas: Vec<TokenCache>,
}

impl Fleet {
    fn start(url: &str) -> Self {
        let issued = Arc::new(AtomicUsize::new(0));
        let replica = |_| {
            let issued = issued.clone();
            let fetcher = fetch_fn(move |_| {
                let n = issued.fetch_add(1, Ordering::Relaxed);
                let token = Token::bearer(&format!("token-{n}"));
                std::future::ready(token.map(|token| token.expires_in(LIFETIME)))
            });
            let shared = Shared::new(fetcher, RedisStore::connect(url).unwrap());
            TokenCache::new(shared.name("orders").seal([SEAL]))
        };
        Self { replicas: (0..REPLICAS).map(replica).collect(), issued }
    }

    /// All get a token at once, and soon. Returns how many different ones.
    async fn serve(&self) -> usize {
        let mut requests = JoinSet::new();
        for replica in self.replicas.clone() {
            requests.spawn(async move {
                let token = timeout(Duration::from_secs(3), replica.token()).await;
                token.expect("a request waits for the store").unwrap().expose().to_owned()
            });
        }
        requests.join_all().await.into_iter().collect::<HashSet<_>>().len()
    }

    /// Serves requests until the replicas have one token, and then for two lifetimes more.
    async fn until_sharing(&self) {
        self.until(async |distinct| distinct == 1).await;
        let (begun, before) = (Instant::now(), self.issued());
        self.until(async |_| begun.elapsed() > 2 * LIFETIME).await;
        // A renewal takes place when a fifth of the lifetime is left, or a little later.
        let renewals = begun.elapsed().div_duration_f64(LIFETIME.mul_f64(0.75)).ceil() as usize;
        let requests = self.issued() - before;
        assert!(
            (1..=renewals).contains(&requests),
            "{requests} token requests, {renewals} renewals"
        );
    }

    /// Serves requests until each replica has a token of its own.
    async fn until_alone(&self) {
        self.until(async |distinct| distinct == REPLICAS).await;
    }

    /// Serves requests all the time, of which none fails.
    async fn until(&self, mut done: impl AsyncFnMut(usize) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let distinct = self.serve().await;
            if done(distinct).await {
                return;
            }
            assert!(Instant::now() < deadline, "it has not happened, with {distinct} tokens");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn without_a_server_at_first_each_asks_the_issuer() {
    let Some(mut server) = Server::start(&[]) else { return };
    server.kill();
    let fleet = Fleet::start(&server.url());
    fleet.until_alone().await;
    server.restart();
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_server_that_is_gone_each_asks_the_issuer() {
    let Some(mut server) = Server::start(&[]) else { return };
    let fleet = Fleet::start(&server.url());
    fleet.until_sharing().await;
    server.kill();
    fleet.until_alone().await;
    server.restart();
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_server_that_stands_still_each_asks_the_issuer() {
    let Some(server) = Server::start(&[]) else { return };
    let fleet = Fleet::start(&server.url());
    fleet.until_sharing().await;
    server.pause();
    fleet.until_alone().await;
    server.resume();
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_slow_server_each_asks_the_issuer() {
    let Some(server) = Server::start(&[]) else { return };
    let proxy = Proxy::start(server.socket()).await;
    proxy.delay(Duration::from_millis(400));
    let fleet = Fleet::start(&proxy.url());
    fleet.until_alone().await;
    proxy.delay(Duration::from_millis(20));
    fleet.until_sharing().await;
    proxy.delay(Duration::from_millis(400));
    fleet.until_alone().await;
    proxy.delay(Duration::ZERO);
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_read_only_server_each_asks_the_issuer() {
    let Some(server) = Server::start(&[]) else { return };
    let fleet = Fleet::start(&server.url());
    fleet.until_sharing().await;
    let () = server.command("REPLICAOF 127.0.0.1 1").await;
    fleet.until_alone().await;
    let () = server.command("REPLICAOF NO ONE").await;
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_server_out_of_memory_each_asks_the_issuer() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let fleet = Fleet::start(&server.url());
    fleet.until_sharing().await;
    let () = server.command("CONFIG SET maxmemory 1").await;
    fleet.until_alone().await;
    let () = server.command("CONFIG SET maxmemory 0").await;
    fleet.until_sharing().await;
}

#[tokio::test]
async fn while_the_server_evicts_all_the_time_requests_go_on() {
    let Some(server) = Server::start(&[]) else { return };
    let fleet = Fleet::start(&server.url());
    fleet.until_sharing().await;
    let before = fleet.issued();
    fleet
        .until(async |_| {
            let () = server.command("FLUSHALL").await;
            fleet.issued() - before > 3 * REPLICAS
        })
        .await;
    fleet.until_sharing().await;
}

#[tokio::test]
async fn with_a_wrong_password_each_asks_the_issuer() {
    let Some(server) = Server::start(&[]) else { return };
    let () = server.command("ACL SETUSER orders on >old ~* +@all").await;
    let fleet = Fleet::start(&format!("{}?user=orders&pass=old", server.url()));
    fleet.until_sharing().await;
    let () = server.command("ACL SETUSER orders <old >new").await;
    let () = server.command("CLIENT KILL USER orders").await;
    fleet.until_alone().await;
    let () = server.command("ACL SETUSER orders <new >old").await;
    fleet.until_sharing().await;
}
