use std::{error::Error, iter};

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tower_bearer::{BoxError, TokenCache, TokenError};
use tower_bearer_clients::{api::Api, octocrab::client};

async fn github() -> Result<Api, BoxError> {
    let repository = async |Path((owner, name)): Path<(String, String)>| {
        Json(
            json!({ "id": 1, "name": name, "full_name": format!("{owner}/{name}"), "url": "http://api/" }),
        )
    };
    let echo = async |Json(sent): Json<Value>| (StatusCode::CREATED, Json(sent));
    let routes = Router::new()
        .route("/repos/{owner}/{name}", get(repository))
        .route("/repos/{owner}/{name}/labels", post(echo));
    Api::start(routes).await
}

#[tokio::test]
async fn a_request_without_a_body_is_resent_after_a_revocation() -> Result<(), BoxError> {
    let api = github().await?;
    let github = client(api.url.parse()?, TokenCache::new(api.credentials()?));

    for _ in 0..2 {
        let repository = github.repos("tower-rs", "tower").get().await?;
        assert_eq!(repository.full_name.as_deref(), Some("tower-rs/tower"));
        api.issuer().revoke_all();
    }
    assert_eq!(api.statuses(), [200, 401, 200]);
    assert_eq!(api.issuer().tokens_issued(), 2);
    Ok(())
}

/// A clone of an `OctoBody` shares the body with its original, so it is empty once that has been sent.
#[tokio::test]
async fn the_second_attempt_has_the_whole_body() -> Result<(), BoxError> {
    let api = github().await?;
    let github = client(api.url.parse()?, TokenCache::new(api.credentials()?));
    let label = json!({ "name": "bug", "color": "ff0000" });

    for _ in 0..2 {
        let created: Value = github.post("/repos/tower-rs/tower/labels", Some(&label)).await?;
        assert_eq!(created, label);
        api.issuer().revoke_all();
    }
    assert_eq!(api.statuses(), [201, 401, 201]);
    Ok(())
}

#[tokio::test]
async fn the_error_of_the_issuer_is_in_the_chain_of_octocrabs_error() -> Result<(), BoxError> {
    let api = github().await?;
    api.issuer().client("id", "another secret");
    let github = client(api.url.parse()?, TokenCache::new(api.credentials()?));

    let error = github.repos("tower-rs", "tower").get().await.unwrap_err();
    assert_eq!(token_error(&error).and_then(|error| error.code()), Some("invalid_client"));
    assert!(api.statuses().is_empty());
    Ok(())
}

fn token_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TokenError> {
    let mut chain = iter::successors(Some(error), |error| (*error).source());
    chain.find_map(|error| error.downcast_ref())
}
