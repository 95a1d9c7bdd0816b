//! A token endpoint inside this process: it gives the answers it was told, in their order, and
//! keeps the requests.

use std::{
    collections::VecDeque,
    error::Error,
    io, iter,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use tower::Service;
use tower_bearer::{BoxError, ClientCredentials, ClientCredentialsBuilder, TokenCache, TokenError};

pub const URL: &str = "https://issuer.example/token";
pub const SECRET: &str = "s3cr3t+/=/7Fjfp0ZBr1KtDRbnfVdmIw";

/// What happens to one request.
pub enum Answer {
    Response(Response<Body>),
    Error(BoxError),
    Silence,
}

pub type Body = http_body_util::combinators::BoxBody<Bytes, BoxError>;

#[derive(Clone, Default)]
pub struct TokenEndpoint {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl TokenEndpoint {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { answers, requests: Arc::default() }
    }

    /// Credentials for this endpoint, by Basic and a secret that form-encoding changes.
    pub fn credentials(&self) -> ClientCredentialsBuilder<Self> {
        self.at(URL)
    }

    pub fn at(&self, url: &str) -> ClientCredentialsBuilder<Self> {
        ClientCredentials::builder(self.clone(), url, "client", SECRET)
    }

    pub fn tokens(&self) -> TokenCache {
        TokenCache::new(self.credentials().build().unwrap())
    }

    pub fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn all_requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }

    pub fn last_request(&self) -> Request<Bytes> {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

impl Service<Request<Full<Bytes>>> for TokenEndpoint {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            this.requests.lock().unwrap().push(Request::from_parts(head, body));
            let answer = this.answers.lock().unwrap().pop_front();
            match answer.expect("a request that no answer was scripted for") {
                Answer::Response(response) => Ok(response),
                Answer::Error(error) => Err(error),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

/// All that an error shows, with its causes.
pub fn shown(error: &TokenError) -> String {
    let causes = iter::successors(Some(error as &(dyn Error + 'static)), |e| (**e).source());
    causes.map(|cause| format!("{cause} {cause:?} {cause:#?}\n")).collect()
}

pub fn token() -> Answer {
    json(StatusCode::OK, r#"{"access_token":"tok","token_type":"Bearer","expires_in":3600}"#)
}

pub fn json(status: impl TryInto<StatusCode>, body: &str) -> Answer {
    answer(status, &[("content-type", "application/json")], body.to_owned())
}

pub fn answer(
    status: impl TryInto<StatusCode>,
    headers: &[(&str, &str)],
    content: impl Into<Bytes>,
) -> Answer {
    streamed(status, headers, body(content))
}

pub fn streamed(status: impl TryInto<StatusCode>, headers: &[(&str, &str)], body: Body) -> Answer {
    let status = status.try_into().ok().unwrap();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Answer::Response(response.body(body).unwrap())
}

pub fn body(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed()
}

/// A body that breaks after this much.
pub fn broken(start: &'static str) -> Body {
    Broken(Some(Bytes::from(start))).boxed()
}

struct Broken(Option<Bytes>);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(start) => Ok(Frame::data(start)),
            None => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        }))
    }
}
