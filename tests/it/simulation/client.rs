//! A process that calls both APIs.

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use http::StatusCode;
use tokio::{task::JoinSet, time::sleep};
use tower::Layer;
use tower_bearer::{
    BearerAuth, BearerAuthLayer, ClientAuth, ClientCredentials, FetchContext, NotReplayed, Token,
    TokenCache, TokenError, TokenFetcher,
};

use super::{
    BAD, CALLERS, END, FETCH_TIMEOUT, GOOD, ISSUER,
    ledger::{Call, Ledger, now},
    network::{Http, http},
};
use crate::support::{get, send};

const TWICE: &str = "it was refused twice";

/// Counts the fetches of one client.
struct Counted {
    client: &'static str,
    ledger: Ledger,
    credentials: ClientCredentials<Http>,
}

impl TokenFetcher for Counted {
    type Error = TokenError;

    async fn fetch(&self, context: FetchContext) -> Result<Token, TokenError> {
        let _under_way = self.ledger.fetch(self.client);
        self.credentials.fetch(context).await
    }
}

/// A cache that two layers share.
#[derive(Clone)]
pub struct Client {
    ledger: Ledger,
    tokens: TokenCache,
    good: BearerAuth<Http>,
    bad: BearerAuth<Http>,
}

impl Client {
    pub fn new(name: &'static str, ledger: Ledger) -> Result<Self, TokenError> {
        let http = http();
        let endpoint = format!("http://{ISSUER}/token");
        let auth = ClientAuth::post("s3cr3t");
        let credentials = ClientCredentials::builder(http.clone(), endpoint, name, auth)
            .allow_http(true)
            .build()?;
        let tokens = TokenCache::builder()
            .fetch_timeout(FETCH_TIMEOUT)
            .wall_clock(|| SystemTime::UNIX_EPOCH + now())
            .build(Counted { client: name, ledger: ledger.clone(), credentials });
        let layer = BearerAuthLayer::new(tokens.clone()).allow_http();
        let (good, bad) = (layer.layer(http.clone()), layer.layer(http));
        Ok(Self { ledger, tokens, good, bad })
    }

    /// There is a token that the good API accepts.
    fn is_served(&self) -> bool {
        self.tokens.peek().is_some_and(|token| self.ledger.accepts(token.expose()))
    }

    async fn call_good(&mut self) {
        let started = now();
        let before = (self.is_served(), self.ledger.lock().revocations);
        let outcome = send(&mut self.good, get(&format!("http://{GOOD}/"))).await;
        let after = (self.is_served(), self.ledger.lock().revocations);
        let failure = match &outcome {
            Ok(response) if response.status() == StatusCode::OK => None,
            Ok(response) => Some(match response.extensions().get::<NotReplayed>() {
                Some(why) => why.to_string(),
                None => TWICE.to_owned(),
            }),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure.as_ref().filter(|_| before.0 && before == after) {
            self.ledger.wrong(format!("a request failed beside a good token: {failure}"));
        }
        if let Err(error) = &outcome {
            let ours = error.is::<TokenError>();
            if !ours || self.tokens.peek().is_some() {
                self.ledger.wrong(format!("a request got an error beside a token: {error:?}"));
            }
        }
        let took = now() - started;
        let revoked_twice = failure.as_deref() == Some(TWICE) && before.1 != after.1;
        self.ledger.lock().calls.push(Call { started, took, failure, revoked_twice });
    }

    async fn call_bad(&mut self) {
        let outcome = send(&mut self.bad, get(&format!("http://{BAD}/"))).await;
        if let Err(error) = &outcome {
            if self.tokens.peek().is_some() {
                self.ledger.wrong(format!("a request got an error beside a token: {error:?}"));
            }
        }
    }

    pub async fn run(self, seed: u64) -> turmoil::Result {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS.0 + CALLERS.1 {
            let mut client = self.clone();
            let mut rng = Rng::with_seed(seed ^ caller << 32);
            callers.spawn(async move {
                while now() < END {
                    sleep(Duration::from_millis(rng.u64(..8000))).await;
                    match caller < CALLERS.0 {
                        true => client.call_good().await,
                        false => client.call_bad().await,
                    }
                }
            });
        }
        callers.join_all().await;
        Ok(())
    }
}
