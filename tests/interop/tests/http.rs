use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::{ResolvesClientCert, Resumption, WantsClientCert},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use tower::{Service, ServiceExt};
use tower_bearer::BoxError;

use crate::issuer::key;

pub type Body = Full<Bytes>;

pub const CERTIFICATE: &str = include_str!("../certificate.pem");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()
}

fn hyper(tls: ClientConfig) -> Hyper {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
    Client::builder(TokioExecutor::new()).build(https.build())
}

fn tls() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    ClientConfig::builder().with_root_certificates(roots)
}

/// A hyper client that trusts the server's certificate, and remembers what it sent.
#[derive(Clone)]
pub struct Http {
    client: Arc<Mutex<Hyper>>,
    tls: ClientConfig,
    sent: Arc<Mutex<Vec<Request<Body>>>>,
}

type Hyper = Client<HttpsConnector<HttpConnector>, Body>;

impl Http {
    pub fn new() -> Self {
        Self::over(tls().with_no_client_auth())
    }

    /// With a certificate of its own, for which the server's does.
    pub fn with_certificate() -> Self {
        let key = PrivateKeyDer::from_pem_slice(key("p256").as_bytes()).unwrap();
        Self::over(tls().with_client_auth_cert(vec![certificate()], key).unwrap())
    }

    /// With whichever certificate the resolver has when a connection is made.
    pub fn with_resolver(resolver: Arc<dyn ResolvesClientCert>) -> Self {
        let mut tls = tls().with_client_cert_resolver(resolver);
        // A session that is resumed goes on with the certificate that it began with.
        tls.resumption = Resumption::disabled();
        Self::over(tls)
    }

    fn over(tls: ClientConfig) -> Self {
        let client = Arc::new(Mutex::new(hyper(tls.clone())));
        Self { client, tls, sent: Arc::default() }
    }

    /// Leaves its connections, as if they had been idle for too long.
    pub fn disconnect(&self) {
        *self.client.lock().unwrap() = hyper(self.tls.clone());
    }

    pub fn sent(&self) -> Vec<Request<Body>> {
        self.sent.lock().unwrap().clone()
    }

    /// The `Authorization` of each request, without the scheme.
    pub fn tokens(&self) -> Vec<String> {
        let token = |request: &Request<Body>| {
            let value = request.headers()[AUTHORIZATION].to_str().unwrap();
            value.split_once(' ').unwrap().1.to_owned()
        };
        self.sent().iter().map(token).collect()
    }
}

impl Service<Request<Body>> for Http {
    type Response = Response<hyper::body::Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client.lock().unwrap().poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.sent.lock().unwrap().push(request.clone());
        self.client.lock().unwrap().call(request)
    }
}

/// Sends it, and reads the answer: JSON, or nothing.
pub async fn send<S>(client: S, request: Request<Body>) -> Result<(StatusCode, Value), BoxError>
where
    S: Service<Request<Body>, Response = Response<hyper::body::Incoming>>,
    S::Error: Into<BoxError>,
{
    let exchange = async {
        let response = client.oneshot(request).await.map_err(Into::into)?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await.expect("an answer in 30 s")
}
