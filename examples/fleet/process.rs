//! One process of the fleet: calls the API, and prints how that went.

use std::{env, process::ExitCode, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tower::{Layer, ServiceExt};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientAuth, ClientCredentials, FileStore, RedisStore, Shared,
    TokenCache, TokenStore,
};

/// How many requests a process sends at once when it starts.
const FIRST_REQUESTS: usize = 125;
/// Of each process. Eight of them make 200 a second.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(40);

pub const CLIENT: &str = "orders";
pub const SECRET: &str = "s3cr3t";

/// A service reads its own from a file, with `Secret::file`.
const SEAL: &str = "an example of a key of 32 bytes.";

/// What a process has to know, from its environment.
pub struct Settings {
    pub token_endpoint: String,
    pub api: String,
    /// The URL of a Redis server, or the path of a directory.
    pub store: String,
}

impl Settings {
    const NAMES: [&str; 3] = ["FLEET_TOKEN_ENDPOINT", "FLEET_API", "FLEET_STORE"];

    /// `None` in the process that starts the others.
    pub fn from_parent() -> Option<Self> {
        let [token_endpoint, api, store] = Self::NAMES.map(|name| env::var(name).ok());
        Some(Self { token_endpoint: token_endpoint?, api: api?, store: store? })
    }

    pub fn for_child(&self) -> impl Iterator<Item = (&'static str, &str)> {
        Self::NAMES.into_iter().zip([&*self.token_endpoint, &self.api, &self.store])
    }
}

pub async fn run(settings: Settings) -> Result<ExitCode, BoxError> {
    if settings.store.starts_with("redis") {
        let store = RedisStore::connect(&*settings.store)?;
        call(settings, store).await
    } else {
        let store = FileStore::open(&settings.store)?;
        call(settings, store).await
    }
}

/// Goes on until the process is killed, or nobody reads what it prints.
async fn call(settings: Settings, store: impl TokenStore) -> Result<ExitCode, BoxError> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let auth = ClientAuth::basic(SECRET);
    let credentials =
        ClientCredentials::builder(http.clone(), &settings.token_endpoint, CLIENT, auth).build()?;
    let tokens = TokenCache::new(Shared::new(credentials, store).seal([SEAL]));
    let client = BearerAuthLayer::new(tokens).layer(http);
    let call = |begun: Instant| {
        let (client, request) = (client.clone(), Request::get(&settings.api).body(Full::default()));
        async move {
            let outcome = match client.oneshot(request?).await {
                Ok(response) if response.status().is_success() => "ok".to_owned(),
                Ok(response) => response.status().to_string(),
                Err(error) => error.to_string(),
            };
            println!("{} {outcome}", begun.elapsed().as_millis());
            Ok::<_, BoxError>(())
        }
    };

    // All at once, before there is a token.
    let mut first: JoinSet<_> = (0..FIRST_REQUESTS).map(|_| call(Instant::now())).collect();
    while let Some(outcome) = first.join_next().await {
        outcome??;
    }
    let mut ticks = interval(BETWEEN_REQUESTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        call(Instant::now()).await?;
    }
}
