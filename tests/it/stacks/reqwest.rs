use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError, ClientCredentials, testing::Answer};

use super::World;

/// reqwest as a client for requests of the `http` crate.
fn tower_client<B>(
    client: reqwest::Client,
) -> impl Service<
    Request<B>,
    Response = Response<reqwest::Body>,
    Error = reqwest::Error,
    Future: Future + Send,
> + Clone
+ Send
+ Sync
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
{
    service_fn(move |request: Request<B>| {
        let client = client.clone();
        async move {
            let request = request.map(reqwest::Body::wrap).try_into()?;
            Ok(client.execute(request).await?.into())
        }
    })
}

fn without_redirects() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn reqwest_sends_the_requests_and_fetches_the_tokens() {
    let world = World::new().await;
    let client = without_redirects();
    let tokens = ClientCredentials::builder(
        tower_client(client.clone()),
        world.issuer.token_endpoint(),
        "id",
        "s3cr3t",
    )
    .build()
    .unwrap();
    let api = BearerAuthLayer::new(tokens).layer(tower_client(client));
    for body in ["one", "two"] {
        let request = Request::post(world.api.url("/orders")).body(Full::from(body)).unwrap();
        let response = api.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
        world.issuer.revoke_all();
    }
    assert_eq!(world.bodies(), ["one", "two", "two"]);
    assert!(world.api.requests().iter().all(|request| request.headers["content-length"] == "3"));
    assert_eq!(world.issuer.requests().len(), 2);
}

#[tokio::test]
async fn an_error_of_reqwest_reaches_the_caller() {
    let world = World::new().await;
    let api = BearerAuthLayer::new(world.tokens())
        .layer(tower_client::<Full<Bytes>>(without_redirects()));
    world.api.answer_next(Answer::cut());
    let error = api.oneshot(Request::get(world.api.url("/")).body(Full::default()).unwrap()).await;
    assert!(error.unwrap_err().is::<reqwest::Error>());
}
