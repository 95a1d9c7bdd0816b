//! hyper-util over TLS, HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_bearer::{BearerAuth, BearerAuthLayer, ClientCredentials, testing::AuthorizationServer};

type Body = Full<Bytes>;
type Https = Client<HttpsConnector<HttpConnector>, Body>;

/// An API that wants a token, and its issuer, behind TLS.
struct Secured {
    issuer: Arc<AuthorizationServer>,
    seen: Seen,
    origin: String,
    roots: RootCertStore,
}

impl Secured {
    async fn start() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let issuer = Arc::new(AuthorizationServer::start().await.unwrap());
        let secured = Self { issuer, seen: Arc::default(), origin, roots };
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            secured.issuer.clone(),
            secured.seen.clone(),
        ));
        secured
    }

    fn client(&self, version: Version) -> Https {
        let tls = ClientConfig::builder()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
        let https = match version {
            Version::HTTP_2 => https.enable_http2().build(),
            _ => https.enable_http1().build(),
        };
        Client::builder(TokioExecutor::new()).build(https)
    }

    /// Everything of it goes over TLS, the token request too.
    fn authorized(&self, version: Version) -> BearerAuth<Https> {
        let http = self.client(version);
        let token_endpoint = format!("{}/oauth/token", self.origin);
        let tokens = ClientCredentials::builder(http.clone(), token_endpoint, "id", "s3cr3t")
            .build()
            .unwrap();
        BearerAuthLayer::new(tokens).only_for([&self.origin]).unwrap().layer(http)
    }

    fn post(&self) -> Request<Body> {
        Request::post(format!("{}/orders", self.origin)).body(Body::from("an order")).unwrap()
    }

    fn statuses(&self, version: Version) -> Vec<StatusCode> {
        let seen = self.seen.lock().unwrap();
        assert!(seen.iter().all(|(seen, _, body)| *seen == version && body == "an order"));
        seen.iter().map(|(_, status, _)| *status).collect()
    }
}

type Seen = Arc<std::sync::Mutex<Vec<(Version, StatusCode, Bytes)>>>;

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    issuer: Arc<AuthorizationServer>,
    seen: Seen,
) {
    let plain = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let respond = service_fn(move |request: Request<Incoming>| {
        let (issuer, plain, seen) = (issuer.clone(), plain.clone(), seen.clone());
        async move {
            let (mut head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            if head.uri.path() == "/oauth/token" {
                head.uri = issuer.token_endpoint().parse().unwrap();
                head.version = Version::HTTP_11;
                let request = Request::from_parts(head, Body::from(body));
                let (head, body) = plain.request(request).await.unwrap().into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = head.status;
                return Ok::<_, Infallible>(response);
            }
            let values: Vec<_> = head.headers.get_all(AUTHORIZATION).iter().collect();
            let token = match values[..] {
                [value] => value.to_str().unwrap().strip_prefix("Bearer "),
                _ => None,
            };
            let mut response = Response::new(Body::default());
            if !token.is_some_and(|token| issuer.is_active(token)) {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            seen.lock().unwrap().push((head.version, response.status(), body));
            Ok(response)
        }
    });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, respond) = (tls.clone(), respond.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(respond))
                .await;
        });
    }
}

async fn survives_a_revocation(version: Version) {
    let secured = Secured::start().await;
    let client = secured.authorized(version);
    for _ in 0..2 {
        let response = client.clone().oneshot(secured.post()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.version(), version);
        secured.issuer.revoke_all();
    }
    let unauthorized = StatusCode::UNAUTHORIZED;
    assert_eq!(secured.statuses(version), [StatusCode::OK, unauthorized, StatusCode::OK]);
    assert_eq!(secured.issuer.requests().len(), 2);
}

#[tokio::test]
async fn over_tls_and_http_1_a_revocation_heals() {
    survives_a_revocation(Version::HTTP_11).await;
}

#[tokio::test]
async fn over_tls_and_http_2_a_revocation_heals() {
    survives_a_revocation(Version::HTTP_2).await;
}

#[tokio::test]
async fn over_http_2_a_revocation_under_load_costs_one_fetch() {
    let secured = Secured::start().await;
    let client = secured.authorized(Version::HTTP_2);
    client.clone().oneshot(secured.post()).await.unwrap();
    secured.issuer.revoke_all();
    let callers: Vec<_> =
        (0..50).map(|_| tokio::spawn(client.clone().oneshot(secured.post()))).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(secured.issuer.requests().len(), 2);
    let statuses = secured.statuses(Version::HTTP_2);
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 51);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_neither_secret_nor_token() {
    let (secured, other) = (Secured::start().await, Secured::start().await);
    let client = BearerAuthLayer::new(
        ClientCredentials::builder(
            other.client(Version::HTTP_11),
            format!("{}/oauth/token", secured.origin),
            "id",
            "s3cr3t",
        )
        .build()
        .unwrap(),
    )
    .layer(secured.client(Version::HTTP_11));
    let error = client.oneshot(secured.post()).await.unwrap_err();
    assert!(error.downcast_ref::<tower_bearer::TokenError>().unwrap().is_transient());
    assert!(secured.issuer.requests().is_empty());
    assert!(secured.statuses(Version::HTTP_11).is_empty());
}
