//! The clients of both lines of reqwest-middleware.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Extensions, StatusCode};
use http_body_util::Full;
use tower_bearer::{
    Anonymous, BearerAuthLayer, ClientCredentials, NotReplayed, TokenCaches, TokenError,
    testing::{Answer, ProtectedApi},
};

use super::World;

/// The same tests for each line.
macro_rules! line {
    ($line:ident, $middleware:ident) => {
        mod $line {
            use ::$line::{Body, Client, Request, Response};
            use ::$middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};

            use super::*;

            fn client(middleware: impl Middleware) -> ClientWithMiddleware {
                ClientBuilder::new(Client::new()).with(middleware).build()
            }

            fn token_error(error: Error) -> TokenError {
                let Error::Middleware(error) = error else {
                    panic!("not of a middleware: {error:?}")
                };
                error.downcast::<TokenError>().expect("an error of this crate")
            }

            fn why(response: &Response) -> Option<&NotReplayed> {
                response.extensions().get()
            }

            #[tokio::test]
            async fn a_plain_get_has_a_token_and_survives_its_revocation() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()));
                let url = world.api.url("/orders?page=2");
                let response = client.get(format!("{url}#part")).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(response.url().as_str(), url);

                world.issuer.revoke_all();
                let response = client.post(&url).body("an order").send().await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert!(why(&response).is_none());
                assert_eq!(response.text().await.unwrap(), "an order");
                assert_eq!(world.bodies(), ["", "an order", "an order"]);
                assert!(world.api.requests().iter().all(|request| request.uri == "/orders?page=2"));
                assert_eq!(world.issuer.requests().len(), 2);
            }

            #[tokio::test]
            async fn the_body_of_a_refusal_and_its_headers_are_the_callers() {
                let world = World::new().await;
                world.api.answer_always(
                    Answer::status(StatusCode::UNAUTHORIZED)
                        .header("x-request-id".parse().unwrap(), "7".parse().unwrap())
                        .body("no"),
                );
                let client = client(BearerAuthLayer::new(world.tokens()));
                let response = client.get(world.api.url("/")).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert_eq!(response.headers()["x-request-id"], "7");
                assert_eq!(response.text().await.unwrap(), "no");
                assert_eq!(world.bodies().len(), 2);
            }

            #[tokio::test]
            async fn a_stream_is_sent_once_and_the_refusal_says_why() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()));
                client.get(world.api.url("/")).send().await.unwrap();
                world.issuer.revoke_all();
                let stream = Body::wrap(Full::new(Bytes::from("streamed")));
                let response = client.post(world.api.url("/")).body(stream).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert!(matches!(why(&response), Some(NotReplayed::Body)));
                assert_eq!(world.bodies(), ["", "streamed"]);
                let response = client.get(world.api.url("/")).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
            }

            #[tokio::test]
            async fn without_replay_nothing_is_sent_a_second_time() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()).no_replay());
                client.get(world.api.url("/")).send().await.unwrap();
                world.issuer.revoke_all();
                let response = client.get(world.api.url("/")).send().await.unwrap();
                assert!(matches!(why(&response), Some(NotReplayed::Body)));
                assert_eq!(world.bodies().len(), 2);
            }

            #[tokio::test]
            async fn the_callers_own_authorization_is_kept() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()));
                let response =
                    client.get(world.api.url("/")).bearer_auth("own").send().await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert_eq!(world.api.requests()[0].bearer(), Some("own"));
                assert_eq!(world.api.requests().len(), 1);
                assert!(world.issuer.requests().is_empty());
            }

            #[tokio::test]
            async fn another_origin_gets_no_token() {
                let world = World::new().await;
                let layer =
                    BearerAuthLayer::new(world.tokens()).only_for([world.api.url("")]).unwrap();
                let client = client(layer);
                let other = ProtectedApi::start(&world.issuer).await.unwrap();
                assert_eq!(
                    client.get(other.url("/")).send().await.unwrap().status(),
                    StatusCode::UNAUTHORIZED
                );
                assert!(!other.requests()[0].headers.contains_key("authorization"));
                assert!(world.issuer.requests().is_empty());
                assert_eq!(
                    client.get(world.api.url("/")).send().await.unwrap().status(),
                    StatusCode::OK
                );
            }

            #[tokio::test]
            async fn a_redirect_to_another_origin_goes_without_the_token() {
                let world = World::new().await;
                let other = ProtectedApi::start(&world.issuer).await.unwrap();
                world.api.answer_next(
                    Answer::status(StatusCode::FOUND)
                        .header(http::header::LOCATION, other.url("/").parse().unwrap()),
                );
                let layer = BearerAuthLayer::new(world.tokens()).no_replay();
                client(layer).get(world.api.url("/")).send().await.unwrap();
                assert!(world.api.requests()[0].bearer().is_some());
                assert!(!other.requests()[0].headers.contains_key("authorization"));
            }

            #[tokio::test]
            async fn an_extension_opts_a_request_out() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()));
                client.get(world.api.url("/")).with_extension(Anonymous).send().await.unwrap();
                assert!(!world.api.requests()[0].headers.contains_key("authorization"));
            }

            #[tokio::test]
            async fn an_extension_selects_the_token() {
                #[derive(Clone)]
                struct Tenant(&'static str);

                let world = World::new().await;
                let (issuer, asked) =
                    (world.issuer.token_endpoint(), Arc::new(Mutex::new(Vec::new())));
                let tokens = TokenCaches::new({
                    let asked = asked.clone();
                    move |&tenant: &&'static str| {
                        asked.lock().unwrap().push(tenant);
                        ClientCredentials::builder(super::super::http(), &issuer, tenant, "s3cr3t")
                            .build()
                    }
                });
                let client = client(BearerAuthLayer::select(move |head| {
                    match head.extensions.get::<Tenant>() {
                        Some(Tenant(tenant)) => tokens.get(tenant).map(Some),
                        None => Ok(None),
                    }
                }));
                for tenant in ["acme", "initech", "acme"] {
                    let request = client
                        .post(world.api.url("/"))
                        .with_extension(Tenant(tenant))
                        .body("an order");
                    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
                }
                assert_eq!(*asked.lock().unwrap(), ["acme", "initech"]);
                let sent = world.api.requests();
                assert_eq!(sent[0].bearer(), sent[2].bearer());
                assert_ne!(sent[0].bearer(), sent[1].bearer());

                world.issuer.revoke_all();
                let request =
                    client.post(world.api.url("/")).with_extension(Tenant("acme")).body("an order");
                assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
                let response = client.get(world.api.url("/")).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            }

            #[tokio::test]
            async fn plain_http_to_another_machine_is_an_error_of_this_crate() {
                let world = World::new().await;
                let client = client(BearerAuthLayer::new(world.tokens()));
                let error = client.get("http://api.example.com/").send().await.unwrap_err();
                assert!(token_error(error).is_insecure());
                assert!(world.issuer.requests().is_empty());
            }

            #[tokio::test]
            async fn without_a_token_the_error_is_ours_and_the_api_is_not_called() {
                let world = World::new().await;
                world.issuer.answer_always(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
                let client = client(BearerAuthLayer::new(world.tokens()));
                let error = client.get(world.api.url("/")).send().await.unwrap_err();
                assert!(token_error(error).is_transient());
                assert!(world.api.requests().is_empty());
            }

            #[tokio::test]
            async fn an_error_of_reqwest_stays_one() {
                let world = World::new().await;
                world.api.answer_next(Answer::cut());
                let client = client(BearerAuthLayer::new(world.tokens()));
                let error = client.get(world.api.url("/")).send().await.unwrap_err();
                assert!(matches!(error, Error::Reqwest(_)), "{error:?}");
            }

            /// Counts what passes, here and in the extensions.
            #[derive(Clone, Default)]
            struct Count(Arc<Mutex<usize>>);

            #[derive(Clone, Debug, Default, PartialEq)]
            struct Passed(usize);

            #[async_trait]
            impl Middleware for Count {
                async fn handle(
                    &self,
                    request: Request,
                    extensions: &mut Extensions,
                    next: Next<'_>,
                ) -> Result<Response, Error> {
                    *self.0.lock().unwrap() += 1;
                    extensions.get_or_insert_default::<Passed>().0 += 1;
                    next.run(request, extensions).await
                }
            }

            #[tokio::test]
            async fn middleware_before_it_sees_requests_and_after_it_attempts() {
                let world = World::new().await;
                let (before, after) = (Count::default(), Count::default());
                let client = ClientBuilder::new(Client::new())
                    .with(before.clone())
                    .with(BearerAuthLayer::new(world.tokens()))
                    .with(after.clone())
                    .build();
                client.get(world.api.url("/")).send().await.unwrap();
                world.issuer.revoke_all();
                let request = client.get(world.api.url("/")).build().unwrap();
                let mut extensions = Extensions::new();
                client.execute_with_extensions(request, &mut extensions).await.unwrap();
                assert_eq!(*before.0.lock().unwrap(), 2);
                assert_eq!(*after.0.lock().unwrap(), 3);
                assert_eq!(extensions.get(), Some(&Passed(3)), "one set of extensions for all");
            }
        }
    };
}

line!(reqwest, reqwest_middleware);
line!(reqwest012, reqwest_middleware012);
