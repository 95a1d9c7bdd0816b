//! Each client that people use, the whole way over sockets.

mod axum;
mod end_to_end;
mod reqwest;
mod reqwest_middleware;
mod tls;
mod tonic;
mod whole_stack;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_bearer::{
    ClientCredentials,
    testing::{AuthorizationServer, ProtectedApi},
};

type Http = Client<HttpConnector, Full<Bytes>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

struct World {
    issuer: AuthorizationServer,
    api: ProtectedApi,
}

impl World {
    async fn new() -> Self {
        let issuer = AuthorizationServer::start().await.unwrap();
        let api = ProtectedApi::start(&issuer).await.unwrap();
        Self { issuer, api }
    }

    fn tokens(&self) -> ClientCredentials<Http> {
        ClientCredentials::builder(http(), self.issuer.token_endpoint(), "id", "s3cr3t")
            .build()
            .unwrap()
    }

    /// What arrived at the API: bodies in the order of their arrival.
    fn bodies(&self) -> Vec<Bytes> {
        self.api.requests().into_iter().map(|request| request.body).collect()
    }
}
