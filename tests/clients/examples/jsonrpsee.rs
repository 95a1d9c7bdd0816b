//! A JSON-RPC client whose token comes from an issuer.
//! `cargo run --manifest-path tests/clients/Cargo.toml --example jsonrpsee`
//!
//! `src/jsonrpsee.rs` makes the client.

use axum::{Json, Router, routing::post};
use jsonrpsee_core::{client::ClientT, rpc_params};
use serde_json::{Value, json};
use tower_bearer::{BoxError, TokenCache};
use tower_bearer_clients::{api::Api, jsonrpsee::client};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let echo = async |Json(call): Json<Value>| {
        Json(json!({ "jsonrpc": "2.0", "id": call["id"], "result": call["params"] }))
    };
    let api = Api::start(Router::new().route("/", post(echo))).await?;
    let client = client(&api.url, TokenCache::new(api.credentials()?))?;

    for what in ["with a first token", "after its revocation"] {
        let result: [String; 1] = client.request("echo", rpc_params!["hello"]).await?;
        println!("{what}: {result:?}");
        api.issuer().revoke_all();
    }
    println!("what the API answered: {:?}", api.statuses());
    assert_eq!(api.statuses(), [200, 401, 200]);
    Ok(())
}
