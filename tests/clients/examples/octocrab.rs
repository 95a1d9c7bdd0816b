//! A GitHub client whose token comes from an issuer.
//! `cargo run --manifest-path tests/clients/Cargo.toml --example octocrab`
//!
//! `src/octocrab.rs` makes the client.

use axum::{Json, Router, extract::Path, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tower_bearer::{BoxError, TokenCache};
use tower_bearer_clients::{api::Api, octocrab::client};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let repository = async |Path((owner, name)): Path<(String, String)>| {
        Json(
            json!({ "id": 1, "name": name, "full_name": format!("{owner}/{name}"), "url": "http://api/" }),
        )
    };
    let create = async |Json(sent): Json<Value>| (StatusCode::CREATED, Json(sent));
    let routes = Router::new()
        .route("/repos/{owner}/{name}", get(repository))
        .route("/repos/{owner}/{name}/labels", axum::routing::post(create));
    let api = Api::start(routes).await?;
    let github = client(api.url.parse()?, TokenCache::new(api.credentials()?));

    let repository = github.repos("tower-rs", "tower").get().await?;
    println!("with a first token: {}", repository.full_name.unwrap_or_default());

    api.issuer().revoke_all();
    let label = json!({ "name": "bug", "color": "ff0000" });
    let created: Value = github.post("/repos/tower-rs/tower/labels", Some(&label)).await?;
    println!("after its revocation: the label {}", created["name"]);
    println!("what the API answered: {:?}", api.statuses());
    assert_eq!(api.statuses(), [200, 401, 201]);
    Ok(())
}
