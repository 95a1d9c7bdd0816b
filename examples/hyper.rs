//! A hyper client over TLS. `cargo run --example hyper`

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rcgen::CertifiedKey;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer},
};
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientCredentials,
    testing::{AuthorizationServer, ProtectedApi},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = AuthorizationServer::start().await?;
    let api = ProtectedApi::start(&issuer).await?;
    let (origin, roots) = behind_tls(&api).await?;

    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    let http = Client::builder(TokioExecutor::new()).build(https.build());

    let tokens = ClientCredentials::builder(http.clone(), issuer.token_endpoint(), "id", "s3cr3t")
        .scope("orders:write")
        .build()?;
    let mut client = BearerAuthLayer::new(tokens).only_for([&origin])?.layer(http);

    for what in ["with a first token", "after its revocation"] {
        let order = Full::new(Bytes::from("an order"));
        let request = Request::post(format!("{origin}/orders")).body(order)?;
        let response = client.ready().await?.call(request).await?;
        println!("{what}: {}", response.status());
        assert_eq!(response.status(), StatusCode::OK);
        issuer.revoke_all();
    }
    println!("requests that the API got: {}", api.requests().len());
    assert_eq!(api.requests().len(), 3);
    Ok(())
}

/// Puts the API behind TLS. The certificate is made here, and the returned store trusts it.
async fn behind_tls(api: &ProtectedApi) -> Result<(String, RootCertStore), BoxError> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let tls = TlsAcceptor::from(Arc::new(tls));

    let plain = api.url("").replace("http://", "");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("https://localhost:{}", listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, plain) = (tls.clone(), plain.clone());
            tokio::spawn(async move {
                let mut stream = tls.accept(stream).await?;
                copy_bidirectional(&mut stream, &mut TcpStream::connect(plain).await?).await
            });
        }
    });
    Ok((origin, roots))
}
