use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::Service;
use tower_bearer::BoxError;

const LIMIT: usize = 1024 * 1024;

/// An HTTP client that records each request and its response.
#[derive(Clone)]
pub struct Recorder {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

#[derive(Clone)]
pub struct Exchange {
    /// The method and the URL without its query, which may hold the secret.
    pub asked: String,
    pub answer: Response<Bytes>,
    pub at: SystemTime,
}

impl Recorder {
    pub fn new() -> Result<Self, BoxError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, exchanges: Arc::default() })
    }

    pub fn take(&self) -> Vec<Exchange> {
        self.exchanges
            .lock()
            .map(|mut exchanges| std::mem::take(&mut *exchanges))
            .unwrap_or_default()
    }
}

impl Service<Request<Full<Bytes>>> for Recorder {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let url = request.uri();
            let place = url.authority().map_or("", |authority| authority.as_str());
            let scheme = url.scheme_str().unwrap_or_default();
            let asked = format!("{} {scheme}://{place}{}", request.method(), url.path());
            let (head, body) = this.client.request(request).await?.into_parts();
            let body = Limited::new(body, LIMIT).collect().await?.to_bytes();
            let exchange = Exchange {
                asked,
                answer: Response::from_parts(head.clone(), body.clone()),
                at: SystemTime::now(),
            };
            if let Ok(mut exchanges) = this.exchanges.lock() {
                exchanges.push(exchange);
            }
            Ok(Response::from_parts(head, Full::from(body)))
        })
    }
}
