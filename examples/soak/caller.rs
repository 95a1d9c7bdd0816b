//! One of the tasks that send requests, one after the other.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};
use tower::{Service, ServiceExt};
use tower_bearer::{BoxError, TokenError};

use crate::{report::Tally, world::World};

/// Counts the attempts of the request that it is an extension of.
#[derive(Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    pub fn count(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        if let Some(attempts) = request.extensions().get::<Self>() {
            attempts.0.fetch_add(1, Relaxed);
        }
        request
    }
}

enum Outcome {
    Answer(StatusCode, Bytes),
    CutInBody,
    Error(BoxError),
}

pub async fn run<S>(
    mut client: S,
    url: String,
    world: Arc<World>,
    mut rng: Rng,
    until: Instant,
    tally: Arc<Tally>,
) where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = BoxError>,
{
    while Instant::now() < until {
        sleep(Duration::from_micros(rng.u64(1000..10_000))).await;
        let size = rng.usize(1..=1024);
        let order: Bytes = iter::repeat_with(|| rng.alphanumeric() as u8).take(size).collect();
        let attempts = Attempts::default();
        let request = Request::post(&url)
            .extension(attempts.clone())
            .body(Full::new(order.clone()))
            .expect("the URL is one of the servers'");
        let patience = match rng.u8(..20) {
            0 => Duration::from_micros(rng.u64(..5000)),
            _ => Duration::from_secs(60),
        };

        let began = Instant::now();
        let outcome = timeout(patience, send(&mut client, request)).await;
        let ended = Instant::now();
        tally.sent(ended - began, attempts.0.load(Relaxed) > 1);
        match outcome {
            Err(_) if patience < Duration::from_secs(1) => tally.given_up(),
            Err(_) => tally.failed("no answer within a minute"),
            Ok(Outcome::Answer(StatusCode::OK, echo)) if echo == order => {}
            Ok(Outcome::Answer(StatusCode::OK, _)) => tally.failed("another order was answered"),
            Ok(Outcome::Answer(StatusCode::UNAUTHORIZED, _)) if world.excuses(began, ended) => {
                tally.without_token();
            }
            Ok(Outcome::Answer(status, _)) => tally.failed(&format!("the answer is {status}")),
            Ok(Outcome::CutInBody) => tally.cut(),
            Ok(Outcome::Error(error)) => {
                if error.is::<TokenError>() && world.excuses(began, ended) {
                    tally.without_token();
                } else {
                    tally.failed(&chain(&*error));
                }
            }
        }
    }
}

async fn send<S>(client: &mut S, request: Request<Full<Bytes>>) -> Outcome
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = BoxError>,
{
    let sent = match client.ready().await {
        Ok(client) => client.call(request).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(response) => {
            let status = response.status();
            match response.into_body().collect().await {
                Ok(body) => Outcome::Answer(status, body.to_bytes()),
                Err(_) => Outcome::CutInBody,
            }
        }
        Err(error) => Outcome::Error(error),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
