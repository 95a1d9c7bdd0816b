use http::{StatusCode, header::AUTHORIZATION};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};
use tower_bearer::{BoxError, TokenCache};

pub async fn connect(
    url: &str,
    tokens: &TokenCache,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, BoxError> {
    let (socket, _) = tokens
        .attempt(
            async |token| {
                let mut request = url.into_client_request()?;
                request.headers_mut().insert(AUTHORIZATION, token.header_value().clone());
                connect_async(request).await
            },
            |outcome| matches!(outcome, Err(Error::Http(r)) if r.status() == StatusCode::UNAUTHORIZED),
        )
        .await??;
    Ok(socket)
}
