use axum::{Json, Router, routing::post};
use jsonrpsee_core::{
    client::{ClientT, Error},
    http_helpers::HttpError,
    params::BatchRequestBuilder,
    rpc_params,
};
use jsonrpsee_http_client::transport::Error as TransportError;
use serde_json::{Value, json};
use tower_bearer::{BoxError, TokenCache, TokenError};
use tower_bearer_clients::{api::Api, jsonrpsee::client};

/// A server whose methods return their parameters.
async fn node() -> Result<Api, BoxError> {
    let answer =
        |call: &Value| json!({ "jsonrpc": "2.0", "id": call["id"], "result": call["params"] });
    let handler = async move |Json(sent): Json<Value>| match sent.as_array() {
        Some(batch) => Json(batch.iter().map(answer).collect()),
        None => Json(answer(&sent)),
    };
    Api::start(Router::new().route("/", post(handler))).await
}

#[tokio::test]
async fn a_call_is_sent_once_more_after_a_revocation() -> Result<(), BoxError> {
    let api = node().await?;
    let client = client(&api.url, TokenCache::new(api.credentials()?))?;

    for _ in 0..2 {
        let result: Vec<String> = client.request("echo", rpc_params!["a", "b"]).await?;
        assert_eq!(result, ["a", "b"]);
        api.issuer().revoke_all();
    }
    assert_eq!(api.statuses(), [200, 401, 200]);
    Ok(())
}

#[tokio::test]
async fn a_batch_from_a_spawned_task_is_sent_once_more_as_a_whole() -> Result<(), BoxError> {
    let api = node().await?;
    let client = client(&api.url, TokenCache::new(api.credentials()?))?;
    client.request::<Value, _>("echo", rpc_params![]).await?;
    api.issuer().revoke_all();

    let mut batch = BatchRequestBuilder::new();
    batch.insert("echo", rpc_params![1])?;
    batch.insert("echo", rpc_params![2])?;
    let results =
        tokio::spawn(async move { client.batch_request::<[u8; 1]>(batch).await }).await??;
    let results: Result<Vec<_>, _> = results.into_iter().collect();
    assert_eq!(results, Ok(vec![[1], [2]]));
    assert_eq!(api.statuses(), [200, 401, 200]);
    Ok(())
}

#[tokio::test]
async fn errors_are_jsonrpsees_own() -> Result<(), BoxError> {
    let api = node().await?;
    let url = api.url.clone();
    let tokens = TokenCache::new(api.credentials()?);
    tokens.token().await?;

    // The server has gone.
    drop(api);
    let error = client(&url, tokens)?.request::<Value, _>("echo", rpc_params![]).await.unwrap_err();
    let Error::Transport(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.downcast_ref(), Some(TransportError::Http(_))), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn the_error_of_the_issuer_is_in_jsonrpsees_error() -> Result<(), BoxError> {
    let api = node().await?;
    api.issuer().client("id", "another secret");
    let client = client(&api.url, TokenCache::new(api.credentials()?))?;

    let error = client.request::<Value, _>("echo", rpc_params![]).await.unwrap_err();
    let Error::Transport(error) = error else { panic!("{error:?}") };
    let Some(TransportError::Http(HttpError::Stream(error))) = error.downcast_ref() else {
        panic!("{error:?}")
    };
    let error = error.downcast_ref().map(TokenError::code);
    assert_eq!(error, Some(Some("invalid_client")));
    assert!(api.statuses().is_empty());
    Ok(())
}
