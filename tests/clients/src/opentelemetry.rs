use async_trait::async_trait;
use http::{StatusCode, header::AUTHORIZATION};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, hyper::HyperClient};
use tokio::runtime::Handle;
use tower_bearer::{Token, TokenCache};

/// What `with_http_client` of an exporter takes.
#[derive(Debug)]
pub struct WithToken {
    pub client: HyperClient,
    pub tokens: TokenCache,
    /// Exporters call from a thread of their own, where there is no runtime.
    pub runtime: Handle,
}

#[async_trait]
impl HttpClient for WithToken {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, tokens) = (self.client.clone(), self.tokens.clone());
        let export = async move {
            let send = |token: Token| {
                let (client, mut request) = (client.clone(), request.clone());
                request.headers_mut().insert(AUTHORIZATION, token.header_value().clone());
                async move { client.send_bytes(request).await }
            };
            tokens
                .attempt(
                    send,
                    |outcome| matches!(outcome, Ok(r) if r.status() == StatusCode::UNAUTHORIZED),
                )
                .await?
        };
        self.runtime.spawn(export).await?
    }
}
