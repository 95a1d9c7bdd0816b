//! A Kubernetes client whose token comes from an issuer.
//! `cargo run --manifest-path tests/clients/Cargo.toml --example kube`
//!
//! `src/kube.rs` makes the client.

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Query,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Config, ResourceExt,
    api::{Api as Kube, ListParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tower_bearer::{BoxError, TokenCache};
use tower_bearer_clients::{api::Api, kube::client};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let api =
        Api::start(Router::new().route("/api/v1/namespaces/default/configmaps", get(configmaps)))
            .await?;
    let tokens = TokenCache::new(api.credentials()?);
    let client = client(Config::new(api.url.parse()?), tokens)?;
    let configmaps = Kube::<ConfigMap>::default_namespaced(client);

    let list = configmaps.list(&ListParams::default()).await?;
    println!("with a first token: {}", list.items[0].name_any());

    api.issuer().revoke_all();
    let mut watch = configmaps.watch(&WatchParams::default(), "1").await?.boxed();
    while let Some(event) = watch.try_next().await? {
        if let WatchEvent::Added(object) = event {
            println!("a watch after its revocation: {}", object.name_any());
        }
    }
    println!("what the API answered: {:?}", api.statuses());
    assert_eq!(api.statuses(), [200, 401, 200]);
    Ok(())
}

/// The list, and a watch that ends after two events.
async fn configmaps(Query(query): Query<Vec<(String, String)>>) -> Response {
    if query.contains(&("watch".to_owned(), "true".to_owned())) {
        let events = ["blue", "green"].map(|name| {
            let event = json!({ "type": "ADDED", "object": { "metadata": { "name": name } } });
            Ok::<_, BoxError>(Bytes::from(format!("{event}\n")))
        });
        return Body::from_stream(stream::iter(events)).into_response();
    }
    let items = [json!({ "metadata": { "name": "red" } })];
    Json(json!({ "metadata": { "resourceVersion": "1" }, "items": items })).into_response()
}
