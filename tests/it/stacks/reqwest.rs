//! Plain reqwest clients, of both lines.

use bytes::Bytes;
use http::{Request, StatusCode, header::LOCATION};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_bearer::{
    BearerAuthLayer, ClientCredentials, ReqwestClient, TokenCache,
    testing::{Answer, AuthorizationServer, ProtectedApi},
};
use tower_http::follow_redirect::FollowRedirectLayer;

use super::World;

fn redirect_to(url: &str) -> Answer {
    Answer::status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, url.parse().unwrap())
}

fn get(url: String) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

/// The same tests for each line.
macro_rules! line {
    ($line:ident) => {
        mod $line {
            use ::$line::{Body, Client, Error, Response, redirect::Policy};

            use super::*;

            fn direct<B>() -> ReqwestClient<Client, B> {
                ReqwestClient::new(Client::builder().redirect(Policy::none()).build().unwrap())
            }

            fn following<B>() -> ReqwestClient<Client, B> {
                ReqwestClient::new(Client::new())
            }

            fn tokens(world: &World) -> TokenCache {
                ClientCredentials::builder(direct(), world.issuer.token_endpoint(), "id", "s3cr3t")
                    .build()
                    .unwrap()
                    .into()
            }

            #[tokio::test]
            async fn it_sends_the_requests_and_fetches_the_tokens() {
                let world = World::new().await;
                let api = BearerAuthLayer::new(tokens(&world)).layer(direct());
                for body in ["one", "two"] {
                    let request =
                        Request::post(world.api.url("/orders")).body(Full::from(body)).unwrap();
                    let response = api.clone().oneshot(request).await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    assert_eq!(Response::from(response).text().await.unwrap(), body);
                    world.issuer.revoke_all();
                }
                assert_eq!(world.bodies(), ["one", "two", "two"]);
                let lengths = world.api.requests();
                assert!(lengths.iter().all(|request| request.headers["content-length"] == "3"));
                assert_eq!(world.issuer.requests().len(), 2);
            }

            #[tokio::test]
            async fn a_body_of_its_own_is_buffered_and_sent_once_more() {
                let world = World::new().await;
                let api =
                    BearerAuthLayer::new(tokens(&world)).buffered(100, Body::wrap).layer(direct());
                for body in ["one", "two"] {
                    let request =
                        Request::post(world.api.url("/orders")).body(Body::from(body)).unwrap();
                    let response = api.clone().oneshot(request).await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    world.issuer.revoke_all();
                }
                assert_eq!(world.bodies(), ["one", "two", "two"]);
            }

            #[tokio::test]
            async fn a_stream_arrives_as_it_is_sent() {
                let world = World::new().await;
                let api = BearerAuthLayer::new(tokens(&world)).no_replay().layer(direct());
                let (sender, receiver) = tokio::sync::mpsc::channel::<Result<_, std::io::Error>>(1);
                let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
                let stream = http_body_util::StreamBody::new(stream);
                let request = Request::post(world.api.url("/orders")).body(stream).unwrap();
                let (response, ()) = tokio::join!(api.oneshot(request), async {
                    for part in ["one", "two"] {
                        let frame = http_body::Frame::data(Bytes::from_static(part.as_bytes()));
                        sender.send(Ok(frame)).await.unwrap();
                    }
                    drop(sender);
                });
                assert_eq!(response.unwrap().status(), StatusCode::OK);
                assert_eq!(world.bodies(), ["onetwo"]);
            }

            #[tokio::test]
            async fn its_errors_reach_the_caller() {
                let world = World::new().await;
                let api = BearerAuthLayer::new(tokens(&world)).layer(direct());
                world.api.answer_next(Answer::cut());
                let error = api.clone().oneshot(get(world.api.url("/"))).await.unwrap_err();
                assert!(error.is::<Error>(), "{error:?}");

                let unsendable = get("http://localhost:1/".into());
                let error = direct().oneshot(unsendable).await.unwrap_err();
                assert!(error.is_connect(), "{error:?}");
                let unsendable = get("/a/path/alone".into());
                let error = direct().oneshot(unsendable).await.unwrap_err();
                assert!(error.is_builder(), "{error:?}");
            }

            #[tokio::test]
            async fn followed_outside_no_token_goes_to_another_origin() {
                let world = World::new().await;
                let other = ProtectedApi::start(&world.issuer).await.unwrap();
                let api = ServiceBuilder::new()
                    .layer(FollowRedirectLayer::new())
                    .layer(
                        BearerAuthLayer::new(tokens(&world)).only_for([world.api.url("")]).unwrap(),
                    )
                    .service(direct());
                world.api.answer_next(redirect_to(&other.url("/elsewhere")));
                let response = api.oneshot(get(world.api.url("/"))).await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert!(world.api.requests()[0].bearer().is_some());
                assert!(other.requests().iter().all(|request| request.bearer().is_none()));
                assert_eq!((other.requests().len(), world.issuer.requests().len()), (1, 1));
            }

            /// With a client that follows redirects, reqwest decides.
            #[tokio::test]
            async fn followed_by_reqwest_a_foreign_401_counts_without_a_token() {
                let world = World::new().await;
                let other = ProtectedApi::start(&world.issuer).await.unwrap();
                let api = BearerAuthLayer::new(tokens(&world)).layer(following());
                world.api.answer_next(redirect_to(&world.api.url("/moved")));
                let response = api.clone().oneshot(get(world.api.url("/"))).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert!(world.api.requests().iter().all(|request| request.bearer().is_some()));

                world.api.answer_always(redirect_to(&other.url("/elsewhere")));
                let response = api.oneshot(get(world.api.url("/"))).await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert!(other.requests().iter().all(|request| request.bearer().is_none()));
                assert_eq!((other.requests().len(), world.issuer.requests().len()), (2, 2));
            }

            #[tokio::test]
            async fn a_redirect_of_the_token_endpoint_is_not_followed() {
                let issuer = AuthorizationServer::start().await.unwrap();
                let other = AuthorizationServer::start().await.unwrap();
                issuer.answer_always(redirect_to(&other.token_endpoint()));
                let tokens =
                    ClientCredentials::builder(direct(), issuer.token_endpoint(), "id", "s3cr3t");
                let tokens = TokenCache::new(tokens.build().unwrap());
                let error = tokens.token().await.unwrap_err();
                assert_eq!(error.status(), Some(StatusCode::TEMPORARY_REDIRECT));
                assert!(other.requests().is_empty());
            }

            /// reqwest can send its own body once more. That it could not do with a stream.
            #[tokio::test]
            async fn a_body_of_its_own_is_passed_on_as_it_is() {
                let world = World::new().await;
                world.api.answer_next(redirect_to(&world.api.url("/moved")));
                let api = BearerAuthLayer::new(tokens(&world)).no_replay().layer(following());
                let request =
                    Request::post(world.api.url("/orders")).body(Body::from("one")).unwrap();
                assert_eq!(api.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
                assert_eq!(world.bodies(), ["one", "one"]);

                world.api.answer_next(redirect_to(&world.api.url("/moved")));
                let request =
                    Request::post(world.api.url("/orders")).body(Full::from("two")).unwrap();
                let api = BearerAuthLayer::new(tokens(&world)).layer(following());
                let response = api.oneshot(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
            }

            #[tokio::test]
            async fn a_boxed_body_that_is_sync_will_do() {
                let world = World::new().await;
                let body = Full::<Bytes>::from("one").map_err(|never| match never {}).boxed();
                let request = Request::post(world.api.url("/orders"))
                    .header("authorization", "Bearer own")
                    .body::<http_body_util::combinators::BoxBody<Bytes, Error>>(body)
                    .unwrap();
                direct().oneshot(request).await.unwrap();
                assert_eq!(world.bodies(), ["one"]);
            }
        }
    };
}

line!(reqwest);
line!(reqwest012);
