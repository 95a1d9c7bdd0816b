use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    attempt::{Kept, Sent, Unsent},
    error::{BoxError, TokenError},
    future::ResponseFuture,
    replay::{CloneBody, Keep, Replay},
    request_copy::RequestCopy,
    settings::{RequestSettings, SharedSettings},
    target::Admission,
    verdict::Attempt,
};

/// An HTTP client that sends a bearer token with each request. Made by
/// [`BearerAuthLayer`](crate::BearerAuthLayer), which says what it does.
///
/// # Errors
///
/// Those of the inner service, and [`TokenError`] where there is no token to be had; in that case
/// the inner service is not called. A response of the API, `401` among them, is not an error.
///
/// # Panics
///
/// As [`TokenCache::token`](crate::TokenCache::token) does, if the runtime has no timers.
#[derive(Clone, Debug)]
pub struct BearerAuth<S, R = CloneBody> {
    inner: S,
    settings: Arc<SharedSettings>,
    replay: R,
}

impl<S, R> BearerAuth<S, R> {
    pub(crate) fn new(inner: S, settings: Arc<SharedSettings>, replay: R) -> Self {
        Self { inner, settings, replay }
    }

    /// A reference to the inner service.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// A mutable reference to the inner service.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, B, RB> Service<Request<B>> for BearerAuth<S, R>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
    R: Replay<B>,
{
    type Response = Response<RB>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B, S::Future, RB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let settings = self.settings.of_this_thread();
        match settings.target.admit(&request) {
            Admission::Attach => {}
            Admission::PassThrough => return self.pass(request),
            Admission::Refuse(error) => return self.block(error),
        }
        let settings = match RequestSettings::of(settings, &request) {
            Ok(Some(settings)) => settings,
            Ok(None) => return self.pass(request),
            Err(error) => return self.block(error),
        };
        let saved = match self.replay.keep(request.body()) {
            Keep::Nothing => None,
            Keep::Saved(saved) => Some(saved),
            Keep::Watch => {
                let (parts, body) = request.into_parts();
                let (body, saved) = self.replay.watch(body);
                request = Request::from_parts(parts, body);
                saved
            }
        };
        let copy = RequestCopy::of(&request, saved);
        let attempt = Attempt::default();
        let attached = settings.tokens().at_once(|token| settings.attach(&mut request, token));
        let attached = match attached {
            Some(Ok(attached)) => attached,
            Some(Err(error)) => return self.block(error),
            None => {
                self.release();
                let kept = match copy {
                    Some(copy) => Kept::Copy(copy),
                    None => Kept::Nothing(settings.source(request.uri())),
                };
                return ResponseFuture::acquiring(Unsent {
                    clone_body: self.replay.clone_body(),
                    ..Unsent::new(settings, self.inner.clone(), request, kept, attempt)
                });
            }
        };
        let (future, kept) = match copy {
            Some(mut copy) => {
                if attached.proof.is_some() {
                    if let Keep::Saved(saved) = self.replay.keep(request.body()) {
                        copy.keep_another(saved);
                    }
                }
                // The instance that was readied is called; its clone is readied for the next call.
                let clone = self.inner.clone();
                let mut ready = mem::replace(&mut self.inner, clone);
                (ready.call(request), Kept::Copy((ready, copy)))
            }
            None => {
                let source = settings.source(request.uri());
                (self.inner.call(request), Kept::Nothing(source))
            }
        };
        ResponseFuture::calling(future, Some(Sent { settings, attached, kept, attempt }))
    }
}

impl<S, R> BearerAuth<S, R> {
    /// Sends the request as it is.
    fn pass<B, RB>(&mut self, request: Request<B>) -> ResponseFuture<S, B, S::Future, RB>
    where
        S: Service<Request<B>>,
    {
        ResponseFuture::calling(self.inner.call(request), None)
    }
}

impl<S: Clone, R> BearerAuth<S, R> {
    fn block<B, F, RB>(&mut self, error: TokenError) -> ResponseFuture<S, B, F, RB> {
        self.release();
        ResponseFuture::blocked(error)
    }

    /// Gives the readiness back, with whatever permit or slot it holds.
    fn release(&mut self) {
        self.inner = self.inner.clone();
    }
}

#[cfg(test)]
mod tests;
