use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    bound::NonceAttempt,
    error::{BoxError, TokenError},
    fetcher::FetchesBehind,
    future::{ResponseFuture, Sent, Turn, Unsent},
    replay::{CloneBody, Keep, Replay},
    request_copy::RequestCopy,
    settings::{RequestSettings, SharedSettings},
    target::Admission,
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
            Admission::PassThrough => {
                return ResponseFuture::calling(self.inner.call(request), None);
            }
            Admission::Refuse(error) => return self.refuse(error),
        }
        let selected = match settings.selector.as_ref().map(|selector| selector.select(&request)) {
            None => None,
            Some(Ok(Some(tokens))) => Some(tokens),
            Some(Ok(None)) => return ResponseFuture::calling(self.inner.call(request), None),
            Some(Err(error)) => return self.refuse(error),
        };
        let settings = RequestSettings::new(settings, selected);
        if let Some(fetches) = request.extensions().get::<FetchesBehind>() {
            if settings.tokens().waits_for(fetches) {
                return self.refuse(TokenError::behind_itself());
            }
        }
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
        let Some(token) = settings.attach_at_once(&mut request) else {
            let turn = match copy {
                Some(copy) => Turn::First(copy),
                None => Turn::Once(settings.source(request.uri())),
            };
            let Some(bound) = settings.bound_at_once() else {
                self.release();
                let service = self.inner.clone();
                let nonce_attempt = NonceAttempt::later(&self.replay);
                return ResponseFuture::acquiring(Unsent {
                    settings,
                    service,
                    request,
                    turn,
                    nonce_attempt,
                    renewed: false,
                });
            };
            let clone = self.inner.clone();
            let service = mem::replace(&mut self.inner, clone);
            let nonce_attempt = NonceAttempt::of(&self.replay, request.body());
            return ResponseFuture::readied(
                bound,
                Unsent { settings, service, request, turn, nonce_attempt, renewed: false },
            );
        };
        let (future, turn) = match copy {
            Some(copy) => {
                // The instance that was readied is called; its clone is readied for the next call.
                let clone = self.inner.clone();
                let mut ready = mem::replace(&mut self.inner, clone);
                (ready.call(request), Turn::First((ready, copy)))
            }
            None => {
                let source = settings.source(request.uri());
                (self.inner.call(request), Turn::Once(source))
            }
        };
        ResponseFuture::calling(future, Some(Sent { settings, token, bound: None, turn }))
    }
}

impl<S: Clone, R> BearerAuth<S, R> {
    fn refuse<B, F, RB>(&mut self, error: TokenError) -> ResponseFuture<S, B, F, RB> {
        self.release();
        ResponseFuture::refused(error)
    }

    /// Gives back what the inner service holds for the call that does not come now: a permit of a
    /// `ConcurrencyLimit`, a slot in a `Buffer`.
    fn release(&mut self) {
        self.inner = self.inner.clone();
    }
}

#[cfg(test)]
mod tests;
