//! Clients that authenticate with a certificate, and tokens that are bound to it (RFC 8705).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, StatusCode};
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, ClientAuth, ClientCredentials, TokenCache};

use crate::{
    http::{Body, CERTIFICATE, Http, send},
    issuer::{credentials, get_orders, jwks, key, orders, register, url},
};

const RENEWED: &str = include_str!("../renewed.pem");

/// The key of `jwks` with this number, with its certificate.
fn certified(number: usize, certificate: &str) -> Value {
    let mut jwk = jwks()["keys"][number].clone();
    let lines = certificate.lines().filter(|line| !line.starts_with("-----"));
    jwk["x5c"] = json!([lines.collect::<String>()]);
    jwk
}

/// RFC 8705 section 2.2.
#[tokio::test]
async fn the_certificate_of_the_http_client_stands_for_the_client() {
    let metadata = json!({
        "client_id": "certificate",
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": { "keys": [certified(1, CERTIFICATE)] },
    });
    register(metadata).await;

    let http = Http::with_certificate();
    let with = ClientCredentials::builder(http, url("/token"), "certificate", ClientAuth::none());
    assert_eq!(orders(with).await.unwrap()["client_id"], "certificate");

    let error = orders(credentials("certificate", ClientAuth::none())).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert_eq!(error.code(), Some("invalid_client"));
}

/// Reads the certificate and its key for each connection, so that both can be renewed on disk.
#[derive(Debug)]
struct FromDisk(PathBuf);

impl FromDisk {
    fn read(&self) -> io::Result<CertifiedKey> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{error:?}"));
        let pem = fs::read(&self.0)?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(invalid)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(invalid)?;
        let key = any_supported_type(&key).map_err(io::Error::other)?;
        Ok(CertifiedKey::new(vec![certificate], key))
    }
}

impl ResolvesClientCert for FromDisk {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.read().ok().map(Arc::new)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A file that is gone with the test.
struct OnDisk(PathBuf);

impl OnDisk {
    fn new(name: &str, pem: String) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, pem).unwrap();
        Self(path)
    }

    /// In one step, so that nobody reads half of it.
    fn replace(&self, pem: String) {
        let next = self.0.with_extension("next");
        fs::write(&next, pem).unwrap();
        fs::rename(next, &self.0).unwrap();
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// RFC 8705 section 3. The API checks the confirmation `x5t#S256`.
#[tokio::test]
async fn a_bound_token_follows_the_certificate_without_a_restart() {
    let metadata = json!({
        "client_id": "bound to certificate",
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "tls_client_certificate_bound_access_tokens": true,
        "jwks": { "keys": [certified(1, CERTIFICATE), certified(0, RENEWED)] },
    });
    register(metadata).await;

    let pem = |certificate: &str, name: &str| [certificate, &key(name)].concat();
    let disk = OnDisk::new("client.pem", pem(CERTIFICATE, "p256"));
    // One client for both: a token is worth nothing over a connection with another certificate.
    let http = Http::with_resolver(Arc::new(FromDisk(disk.0.clone())));
    let credentials = ClientCredentials::builder(
        http.clone(),
        url("/token"),
        "bound to certificate",
        ClientAuth::none(),
    );
    let tokens = TokenCache::new(credentials.build().unwrap());
    let client = BearerAuthLayer::new(tokens.clone()).layer(http.clone());
    let (status, order) = send(client.clone(), get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(order["client_id"], "bound to certificate");

    let first = tokens.peek().unwrap();
    let stolen = || {
        Request::get(url("/orders"))
            .header("authorization", first.header_value())
            .body(Body::default())
            .unwrap()
    };
    assert_eq!(send(Http::new(), stolen()).await.unwrap().0, StatusCode::UNAUTHORIZED);
    assert_eq!(send(http.clone(), stolen()).await.unwrap().0, StatusCode::OK);

    disk.replace(pem(RENEWED, "rsa"));
    http.disconnect();
    assert_eq!(send(http.clone(), stolen()).await.unwrap().0, StatusCode::UNAUTHORIZED);
    let (status, _) = send(client, get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::OK, "one replay heals it");
    assert_ne!(tokens.peek().unwrap().expose(), first.expose());
}
