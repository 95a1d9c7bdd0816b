use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{BearerAuthLayer, BoxError, ClientCredentials};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

#[tokio::test]
async fn an_order_is_sent_once_more_when_its_token_is_refused() -> Result<(), BoxError> {
    let server = MockServer::start().await;
    for token in ["first", "second"] {
        let grant = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 });
        Mock::given(method("POST"))
            .and(path("/oauth/token"))
            .and(body_string("grant_type=client_credentials"))
            .respond_with(ResponseTemplate::new(200).set_body_json(grant))
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
    }
    for (token, status) in [("first", 401), ("second", 201)] {
        Mock::given(path("/orders"))
            .and(header("authorization", format!("Bearer {token}")))
            .and(body_string("an order"))
            .respond_with(ResponseTemplate::new(status))
            .expect(1)
            .mount(&server)
            .await;
    }

    let http = Client::builder(TokioExecutor::new()).build_http();
    let endpoint = format!("{}/oauth/token", server.uri());
    let tokens = ClientCredentials::builder(http.clone(), endpoint, "orders", "s3cr3t").build()?;
    let mut client = BearerAuthLayer::new(tokens).layer(http);

    let order = Full::<Bytes>::from("an order");
    let request = Request::post(format!("{}/orders", server.uri())).body(order)?;
    assert_eq!(client.ready().await?.call(request).await?.status(), StatusCode::CREATED);
    server.verify().await;
    Ok(())
}
