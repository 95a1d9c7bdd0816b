//! The issuer and the API, on loopback.

use std::{future::IntoFuture, io, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};
use tokio_stream::{StreamExt, iter};

use crate::world::{Issuer, LIFETIME, World};

pub struct Servers {
    pub token_endpoint: String,
    pub orders: String,
    stop: watch::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Servers {
    pub async fn start(world: Arc<World>) -> io::Result<Self> {
        let routes = Router::new()
            .route("/oauth/token", post(token))
            .route("/orders", post(order))
            .with_state(world);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(());
        let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
            let _ = stopped.changed().await;
        });
        Ok(Self {
            token_endpoint: format!("http://{address}/oauth/token"),
            orders: format!("http://{address}/orders"),
            stop,
            serving: tokio::spawn(serving.into_future()),
        })
    }

    /// Waits until all connections are closed.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.serving.await;
    }
}

async fn token(State(world): State<Arc<World>>) -> Response {
    let asked = Instant::now();
    match world.token_request() {
        Issuer::Well => {}
        Issuer::Slow(latency) => sleep(latency).await,
        Issuer::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Issuer::Cutting => return cut(Bytes::from_static(b"{")),
    }
    let (token, seconds) = (world.issue(asked), LIFETIME.as_secs());
    let grant =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#);
    ([(header::CONTENT_TYPE, "application/json")], grant).into_response()
}

/// Returns what was sent.
async fn order(State(world): State<Arc<World>>, headers: HeaderMap, order: Bytes) -> Response {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if world.accepts(token) => {}
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    }
    if world.cut() { cut(order) } else { order.into_response() }
}

/// Sends a part of the body and closes the connection.
fn cut(part: Bytes) -> Response {
    let broken = Err(io::Error::from(io::ErrorKind::ConnectionAborted));
    let body = iter([Ok(part), broken]).then(async |part| {
        // hyper writes what it has when a body is pending, and throws it away when a body fails.
        if part.is_err() {
            yield_now().await;
        }
        part
    });
    Body::from_stream(body).into_response()
}
