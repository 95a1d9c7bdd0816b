use std::{
    any::Any,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::error::BoxError;

/// A `reqwest::Client` as a tower HTTP client: for requests of the `http` crate, with any body.
///
/// It is both an inner client of [`BearerAuthLayer`](crate::BearerAuthLayer) and a client for the token requests of
/// `ClientCredentials`. The client is one of reqwest 0.13 with the feature `reqwest`, or of reqwest 0.12 with
/// the feature `reqwest-012`. Neither feature switches on a feature of reqwest. In particular, TLS is yours to
/// choose.
///
/// ```no_run
/// # #[cfg(all(feature = "reqwest", feature = "client-credentials"))]
/// # async fn f() -> Result<(), tower_bearer::BoxError> {
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use reqwest::redirect::Policy;
/// use tower::{Layer, Service, ServiceExt};
/// use tower_bearer::{BearerAuthLayer, ClientCredentials, ReqwestClient};
///
/// let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
/// let http = ReqwestClient::new(http);
///
/// let issuer = "https://login.example.com/oauth/token";
/// let tokens = ClientCredentials::builder(http.clone(), issuer, "orders", "s3cr3t").build()?;
/// let mut api = BearerAuthLayer::new(tokens).layer(http);
///
/// let request = http::Request::get("https://api.example.com/orders").body(Full::<Bytes>::default())?;
/// let response = api.ready().await?.call(request).await?;
/// let text = reqwest::Response::from(response).text().await?;
/// # Ok(()) }
/// ```
///
/// The response has a `reqwest::Body`. `reqwest::Response::from` makes it a response of reqwest, with `text()` and
/// `json()`. An error is a `reqwest::Error`.
///
/// # Redirects
///
/// reqwest follows redirects by itself, inside of the layer. It removes `Authorization` when the host or the port
/// changes. When only the scheme changes, reqwest 0.13.5 removes it, and 0.13.1 and 0.12 do not. None of them
/// removes a header that was named with [`header`](crate::BearerAuthLayer::header). A refusal by the server at the
/// end of the redirects counts as a refusal of the token. It does not look at
/// [`only_for`](crate::BearerAuthLayer::only_for).
///
/// So build the client with `redirect::Policy::none()`, as above, and where redirects are to be followed put
/// tower-http's `FollowRedirect` around the layer. A client for token requests has to be built so: a redirected
/// token request could carry the client's secret elsewhere.
///
/// # Bodies
///
/// A `reqwest::Body` is passed on as it is. reqwest can send it once more by itself, if it is not a stream.
/// Any other body is a stream for reqwest. Its length is sent if the body states it. A body has to be `Sync`.
///
/// `C` is the client, and `B` the body of the requests, which the compiler infers. For another body make another
/// `ReqwestClient` of a clone of the client. Both then use the same connections.
pub struct ReqwestClient<C, B> {
    client: C,
    // Without it `client.ready()` could not tell which body is meant.
    body: PhantomData<fn(B)>,
}

impl<C, B> ReqwestClient<C, B> {
    /// Sends requests with this client.
    pub fn new(client: C) -> Self {
        Self { client, body: PhantomData }
    }
}

/// The lines of reqwest have the same functions, and no trait in common.
macro_rules! service {
    ($reqwest:ident, $feature:literal) => {
        #[cfg(feature = $feature)]
        impl<B> Service<Request<B>> for ReqwestClient<$reqwest::Client, B>
        where
            B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
        {
            type Response = Response<$reqwest::Body>;
            type Error = $reqwest::Error;
            type Future = ReqwestFuture<
                <$reqwest::Client as Service<$reqwest::Request>>::Future,
                $reqwest::Body,
                $reqwest::Error,
            >;

            fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
                Service::<$reqwest::Request>::poll_ready(&mut self.client, cx)
            }

            fn call(&mut self, request: Request<B>) -> Self::Future {
                let request = request.map(|body| as_is_or(body, $reqwest::Body::wrap));
                let state = match $reqwest::Request::try_from(request) {
                    Ok(request) => State::Calling { future: self.client.call(request) },
                    Err(error) => State::Failed { error: Some(error) },
                };
                ReqwestFuture { state, body: PhantomData }
            }
        }
    };
}

service!(reqwest, "reqwest");
service!(reqwest012, "reqwest-012");

impl<C: Clone, B> Clone for ReqwestClient<C, B> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone())
    }
}

impl<C: fmt::Debug, B> fmt::Debug for ReqwestClient<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReqwestClient").field(&self.client).finish()
    }
}

/// A body that has the right type already would be a stream once it is wrapped.
fn as_is_or<B: 'static, T: Default + 'static>(body: B, wrap: impl FnOnce(B) -> T) -> T {
    let mut body = Some(body);
    if let Some(body) = (&mut body as &mut dyn Any).downcast_mut::<Option<T>>() {
        return body.take().unwrap_or_default();
    }
    body.map(wrap).unwrap_or_default()
}

pin_project! {
    /// The future of [`ReqwestClient`](crate::ReqwestClient).
    ///
    /// `F` is the future of reqwest's client, `B` its body and `E` its error.
    pub struct ReqwestFuture<F, B, E> {
        #[pin]
        state: State<F, E>,
        body: PhantomData<fn() -> B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, E> {
        Calling {
            #[pin]
            future: F,
        },
        // reqwest cannot send such a request.
        Failed {
            error: Option<E>,
        },
    }
}

impl<F, R, B, E> Future for ReqwestFuture<F, B, E>
where
    F: Future<Output = Result<R, E>>,
    R: Into<Response<B>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { future } => Poll::Ready(ready!(future.poll(cx)).map(Into::into)),
            StateProj::Failed { error } => {
                Poll::Ready(Err(error.take().expect("a future is not polled after its end")))
            }
        }
    }
}

impl<F, B, E> fmt::Debug for ReqwestFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFuture").finish_non_exhaustive()
    }
}
