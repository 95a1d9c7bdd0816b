use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use http::{Response, StatusCode, header::AUTHORIZATION};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{Error, Message, handshake::server::Request},
};
use tower_bearer::{BoxError, ClientCredentials, TokenCache, testing::AuthorizationServer};
use tower_bearer_clients::websocket::connect;

/// A server that answers a handshake with an active token, and returns what it gets.
async fn echo(issuer: &Arc<AuthorizationServer>) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/updates", listener.local_addr()?);
    let issuer = Arc::clone(issuer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let issuer = Arc::clone(&issuer);
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "the callback of tungstenite is so")]
                let check = |request: &Request, response| {
                    let value = request.headers().get(AUTHORIZATION);
                    let value = value.and_then(|value| value.to_str().ok());
                    match value.and_then(|value| value.strip_prefix("Bearer ")) {
                        Some(token) if issuer.is_active(token) => Ok(response),
                        _ => {
                            let mut refusal = Response::new(None);
                            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
                            Err(refusal)
                        }
                    }
                };
                let (to, from) = accept_hdr_async(stream, check).await?.split();
                from.forward(to).await
            });
        }
    });
    Ok(url)
}

fn tokens(issuer: &AuthorizationServer) -> Result<TokenCache, BoxError> {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let tokens = ClientCredentials::builder(http, issuer.token_endpoint(), "id", "s3cr3t");
    Ok(TokenCache::new(tokens.build()?))
}

#[tokio::test]
async fn a_handshake_is_tried_once_more_after_a_revocation() -> Result<(), BoxError> {
    let issuer = Arc::new(AuthorizationServer::start().await?);
    let url = echo(&issuer).await?;
    let tokens = tokens(&issuer)?;

    let mut first = connect(&url, &tokens).await?;
    issuer.revoke_all();
    // As a client would do it, in a task.
    let mut second = tokio::spawn(async move { connect(&url, &tokens).await }).await??;
    assert_eq!(issuer.tokens_issued(), 2);

    // The revocation does not close what is open.
    for socket in [&mut first, &mut second] {
        socket.send(Message::text("hello")).await?;
        assert_eq!(socket.next().await.transpose()?, Some(Message::text("hello")));
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_every_token_gets_two_handshakes() -> Result<(), BoxError> {
    let issuer = Arc::new(AuthorizationServer::start().await?);
    // It knows the tokens of an issuer of its own.
    let url = echo(&Arc::new(AuthorizationServer::start().await?)).await?;

    let error = connect(&url, &tokens(&issuer)?).await.unwrap_err();
    let refused =
        matches!(error.downcast_ref(), Some(Error::Http(answer)) if answer.status() == 401);
    assert!(refused, "{error:?}");
    assert_eq!(issuer.tokens_issued(), 2);
    Ok(())
}
