//! What is sent the second time, and what is kept for that.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, combinators::UnsyncBoxBody};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, BoxError, NotReplayed};
use tower_test::mock;

use crate::support::*;

type Boxed = UnsyncBoxBody<Bytes, BoxError>;

fn full(data: &'static str) -> Boxed {
    Boxed::new(Full::from(data).map_err(|never| match never {}))
}

fn why(response: &Response<Body>) -> Option<&NotReplayed> {
    response.extensions().get()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_cloned_is_sent_once_more() {
    type Cloneable = Either<Full<Bytes>, Boxed>;

    for clone in [true, false] {
        let (inner, mut handle) = mock::pair::<Request<Cloneable>, Response<Body>>();
        let mut client = BearerAuthLayer::new(Issuer::of(seconds(300)))
            .try_clone(|body: &Cloneable| match body {
                Either::Left(full) => Some(Either::Left(full.clone())),
                Either::Right(_) => None,
            })
            .layer(inner);
        let body = match clone {
            true => Either::Left(Full::from("body")),
            false => Either::Right(full("body")),
        };
        let request = Request::post("https://api.example.com/").body(body).unwrap();
        let (response, ()) = tokio::join!(send(&mut client, request), async {
            let (first, reply) = handle.next_request().await.unwrap();
            let first = first.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(first, "body");
            reply.send_response(answer(401));
            if clone {
                let (second, reply) = handle.next_request().await.unwrap();
                let second = second.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(first, second);
                reply.send_response(answer(200));
            }
        });
        let response = response.unwrap();
        assert_eq!(response.status(), if clone { 200 } else { 401 });
        assert_eq!(matches!(why(&response), Some(NotReplayed::Body)), !clone);
    }
}
