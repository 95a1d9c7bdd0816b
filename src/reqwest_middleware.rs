use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use http::Extensions;
use tokio::sync::Mutex;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{BoxError, TokenError},
    layer::BearerAuthLayer,
    not_replayed::NotReplayed,
    replay::{CloneBody, NoReplay, Replay},
    target::Anonymous,
};

/// The lines of reqwest-middleware have the same names, and no trait in common.
macro_rules! middleware {
    ($line:ident, $reqwest:ident, $middleware:ident, $feature:literal, $(#[$docs:meta])*) => {
        #[cfg(feature = $feature)]
        mod $line {
            use $middleware::{Error, Middleware, Next};
            use $reqwest::{Request, Response};

            use super::*;

            $(#[$docs])*
            #[async_trait]
            impl Middleware for BearerAuthLayer<CloneBody> {
                async fn handle(
                    &self,
                    request: Request,
                    extensions: &mut Extensions,
                    next: Next<'_>,
                ) -> Result<Response, Error> {
                    handle(self.clone().try_clone(Request::try_clone), request, extensions, next).await
                }
            }

            /// As with the default policy, but no request is sent a second time.
            #[async_trait]
            impl Middleware for BearerAuthLayer<NoReplay> {
                async fn handle(
                    &self,
                    request: Request,
                    extensions: &mut Extensions,
                    next: Next<'_>,
                ) -> Result<Response, Error> {
                    handle(self.clone(), request, extensions, next).await
                }
            }

            async fn handle<R>(
                layer: BearerAuthLayer<R>,
                mut request: Request,
                extensions: &mut Extensions,
                next: Next<'_>,
            ) -> Result<Response, Error>
            where
                R: Replay<Request> + Clone,
            {
                let head = head(&mut request, extensions, layer.selects())?;
                let rest = Rest { next, extensions: Arc::new(Mutex::new(extensions)) };
                // `Rest` is always ready.
                match layer.layer(rest).call(head.map(|()| request)).await {
                    Ok(response) => Ok(whole(response)),
                    Err(error) => Err(ours_or_theirs(error)),
                }
            }

            /// The parts of a request that the layer reads. The request itself, without its headers, is passed on as
            /// the body.
            fn head(
                request: &mut Request,
                extensions: &Extensions,
                selects: bool,
            ) -> Result<http::Request<()>, Error> {
                let mut head = http::Request::new(());
                *head.method_mut() = request.method().clone();
                *head.uri_mut() = request.url().as_str().parse().map_err(Error::middleware)?;
                *head.headers_mut() = mem::take(request.headers_mut());
                if selects {
                    // Any of them may say which token is wanted.
                    *head.extensions_mut() = extensions.clone();
                    return Ok(head);
                }
                if let Some(anonymous) = extensions.get::<Anonymous>() {
                    head.extensions_mut().insert(*anonymous);
                }
                Ok(head)
            }

            fn whole(response: http::Response<Response>) -> Response {
                let (head, mut response) = response.into_parts();
                *response.headers_mut() = head.headers;
                if let Some(why) = head.extensions.get::<NotReplayed>() {
                    response.extensions_mut().insert(why.clone());
                }
                response
            }

            /// The service returns errors of `Rest` and of this crate.
            fn ours_or_theirs(error: BoxError) -> Error {
                match error.downcast::<Error>() {
                    Ok(theirs) => *theirs,
                    Err(ours) => Error::middleware(TokenError::from_fetcher(ours)),
                }
            }

            /// The service of the middleware after this one and of the client.
            #[derive(Clone)]
            struct Rest<'a> {
                next: Next<'a>,
                // Locked by one attempt after the other.
                extensions: Arc<Mutex<&'a mut Extensions>>,
            }

            type ResponseFuture<'a> =
                Pin<Box<dyn Future<Output = Result<http::Response<Response>, Error>> + Send + 'a>>;

            impl<'a> Service<http::Request<Request>> for Rest<'a> {
                type Response = http::Response<Response>;
                type Error = Error;
                type Future = ResponseFuture<'a>;

                fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
                    Poll::Ready(Ok(()))
                }

                fn call(&mut self, request: http::Request<Request>) -> Self::Future {
                    let Self { next, extensions } = self.clone();
                    Box::pin(async move {
                        let (head, mut request) = request.into_parts();
                        *request.headers_mut() = head.headers;
                        let mut response = next.run(request, &mut **extensions.lock().await).await?;
                        let status = response.status();
                        let headers = mem::take(response.headers_mut());
                        let mut response = http::Response::new(response);
                        *response.status_mut() = status;
                        *response.headers_mut() = headers;
                        Ok(response)
                    })
                }
            }
        }
    };
}

middleware! {
    of_reqwest_013,
    reqwest,
    reqwest_middleware,
    "reqwest-middleware",
    /// The layer is a middleware for [`reqwest_middleware`], and does the same as around a tower service.
    ///
    /// A request is sent a second time if [`Request::try_clone`] can copy it, which means that its body
    /// is not a stream. A [`TokenError`] is inside of [`Error::Middleware`], to be downcast to.
    /// [`NotReplayed`] is in the response's extensions. [`Anonymous`] opts a request out:
    /// `client.get(url).with_extension(Anonymous)`.
    ///
    /// Middleware before the layer sees a request once. Middleware after it sees each attempt.
    ///
    /// reqwest follows redirects after all middleware. It removes `Authorization` when the host or the port
    /// changes, and since some release between 0.13.1 and 0.13.5 also when only the scheme changes. It does not
    /// remove a header that was named with [`header`](BearerAuthLayer::header). If the new origin refuses the
    /// request, the layer sends the first request once more, although the first origin may have accepted it.
    /// Where either matters, build the client with `redirect::Policy::none()`.
    ///
    /// ```no_run
    /// use reqwest_middleware::ClientBuilder;
    /// use tower_bearer::{BearerAuthLayer, TokenError, TokenFetcher};
    ///
    /// # async fn f(tokens: impl TokenFetcher) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = ClientBuilder::new(reqwest::Client::new())
    ///     .with(BearerAuthLayer::new(tokens).only_for(["https://api.example.com"])?)
    ///     .build();
    ///
    /// match client.get("https://api.example.com/orders").send().await {
    ///     Ok(response) => println!("{}", response.status()),
    ///     Err(reqwest_middleware::Error::Middleware(error)) => {
    ///         let no_token = error.downcast_ref::<TokenError>();
    ///         println!("{error}, try again: {}", no_token.is_some_and(TokenError::is_transient));
    ///     }
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }
    /// ```
}

middleware! {
    of_reqwest_012,
    reqwest012,
    reqwest_middleware012,
    "reqwest-012",
    /// The same for reqwest-middleware 0.4, which is the one for reqwest 0.12. reqwest 0.12 does not remove
    /// `Authorization` from a redirected request when only the scheme changes.
}
