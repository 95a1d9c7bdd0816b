//! An API on loopback that wants tokens of an issuer, for tests and examples.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::AbortHandle};
use tower_bearer::{BoxError, ClientCredentials, TokenFetcher, testing::AuthorizationServer};

/// Dropping it stops the server. Connections that are open stay open.
pub struct Api {
    pub url: String,
    issuer: Arc<AuthorizationServer>,
    statuses: Arc<Mutex<Vec<StatusCode>>>,
    server: AbortHandle,
}

#[derive(Clone)]
struct Guard {
    issuer: Arc<AuthorizationServer>,
    statuses: Arc<Mutex<Vec<StatusCode>>>,
}

impl Api {
    pub async fn start(routes: Router) -> Result<Self, BoxError> {
        let issuer = Arc::new(AuthorizationServer::start().await?);
        let statuses = Arc::default();
        let guard = Guard { issuer: Arc::clone(&issuer), statuses: Arc::clone(&statuses) };
        let routes = routes.layer(middleware::from_fn_with_state(guard, check));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async { axum::serve(listener, routes).await }).abort_handle();
        Ok(Self { url, issuer, statuses, server })
    }

    pub fn issuer(&self) -> &AuthorizationServer {
        &self.issuer
    }

    pub fn credentials(&self) -> Result<impl TokenFetcher + use<>, BoxError> {
        let http = Client::builder(TokioExecutor::new()).build_http();
        let endpoint = self.issuer.token_endpoint();
        Ok(ClientCredentials::builder(http, endpoint, "id", "s3cr3t").build()?)
    }

    /// The statuses of all responses so far, in the order in which the responses began.
    pub fn statuses(&self) -> Vec<u16> {
        self.statuses.lock().unwrap().iter().map(StatusCode::as_u16).collect()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let token = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")),
        _ => None,
    };
    let response = match token {
        Some(token) if guard.issuer.is_active(token) => next.run(request).await,
        _ => StatusCode::UNAUTHORIZED.into_response(),
    };
    guard.statuses.lock().unwrap().push(response.status());
    response
}
