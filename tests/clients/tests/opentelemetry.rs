use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::{runtime::Handle, task::spawn_blocking};
use tower_bearer::{BoxError, TokenCache};
use tower_bearer_clients::{api::Api, opentelemetry::WithToken};

type Received = Arc<Mutex<Vec<Bytes>>>;

async fn collector() -> Result<(Api, Received), BoxError> {
    let received = Received::default();
    let handler =
        async |State(received): State<Received>, sent: Bytes| received.lock().unwrap().push(sent);
    let routes = Router::new().route("/v1/traces", post(handler)).with_state(received.clone());
    Ok((Api::start(routes).await?, received))
}

fn provider(api: &Api) -> Result<SdkTracerProvider, BoxError> {
    let client = WithToken {
        client: HyperClient::with_default_connector(Duration::from_secs(10), None),
        tokens: TokenCache::new(api.credentials()?),
        runtime: Handle::current(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", api.url))
        .build()?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).build())
}

#[tokio::test]
async fn an_export_is_sent_once_more_after_a_revocation() -> Result<(), BoxError> {
    let (api, received) = collector().await?;
    let provider = provider(&api)?;

    for name in ["first", "second"] {
        provider.tracer("test").in_span(name, |_| {});
        let flushed = provider.clone();
        spawn_blocking(move || flushed.force_flush()).await??;
        api.issuer().revoke_all();
    }
    assert_eq!(api.statuses(), [200, 401, 200]);
    for (sent, name) in received.lock().unwrap().iter().zip(["first", "second"]) {
        assert!(sent.windows(name.len()).any(|text| text == name.as_bytes()), "{name}");
    }
    spawn_blocking(move || provider.shutdown()).await??;
    Ok(())
}
