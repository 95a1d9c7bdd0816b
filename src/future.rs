//! The futures of the services.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

#[cfg(any(feature = "reqwest", feature = "reqwest-012"))]
pub use crate::reqwest_client::ReqwestFuture;
use crate::{
    attempt::{Next, Rejected, Sent, Unsent, Wait, not_replayed},
    cache::ReplaceError,
    error::{BoxError, TokenError},
    not_replayed::NotReplayed,
    token::Token,
    verdict::Verdict,
};

pin_project! {
    /// One request's way through [`BearerAuth`](crate::BearerAuth).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the request. A fetch that the request waits for goes on, for the others.
    ///
    /// `S` is the inner service, `F` its future, `B` and `RB` are the bodies of request and response.
    // `F` and `RB` follow from `S` and `B`. They are parameters all the same, for a field whose type is
    // a projection is not `Send` inside of an async block if there is a `dyn` in `B` (rust#110338).
    pub struct ResponseFuture<S, B, F, RB> {
        #[pin]
        state: State<S, B, F, Response<RB>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F, Res> {
        Blocked {
            error: Option<TokenError>,
        },
        // No token yet. All that is held of the inner service is a clone that was not readied.
        Acquiring {
            token: Wait<TokenError>,
            unsent: Option<Box<Unsent<S, B>>>,
        },
        Readying {
            token: Option<Token>,
            unsent: Option<Box<Unsent<S, B>>>,
            waited: bool,
        },
        Calling {
            #[pin]
            future: F,
            sent: Option<Sent<S, B>>,
        },
        // The first attempt was rejected. Its response is kept, should there be no second.
        Replacing {
            token: Wait<ReplaceError>,
            response: Option<Res>,
            rejected: Option<Box<Rejected<S, B>>>,
        },
    }
}

impl<S, B, F, RB> ResponseFuture<S, B, F, RB> {
    pub(crate) fn blocked(error: TokenError) -> Self {
        Self { state: State::Blocked { error: Some(error) } }
    }

    pub(crate) fn acquiring(unsent: Unsent<S, B>) -> Self {
        Self { state: State::acquiring(Box::new(unsent)) }
    }

    /// What is not `sent` with a token of ours is not judged.
    #[inline(always)]
    pub(crate) fn calling(future: F, sent: Option<Sent<S, B>>) -> Self {
        Self { state: State::Calling { future, sent } }
    }
}

impl<S, B, F, Res> State<S, B, F, Res> {
    fn acquiring(unsent: Box<Unsent<S, B>>) -> Self {
        let token = Box::pin(unsent.settings.tokens().clone().acquire());
        Self::Acquiring { token, unsent: Some(unsent) }
    }

    fn readying(token: Token, unsent: Box<Unsent<S, B>>) -> Self {
        Self::Readying { token: Some(token), unsent: Some(unsent), waited: false }
    }
}

impl<S, B, F, RB> State<S, B, F, Response<RB>> {
    /// The state after a response, or the response, if it is the caller's.
    fn after(next: Next<S, B, RB>) -> Result<Self, Response<RB>> {
        match next {
            Next::Deliver(response) => Err(response),
            Next::Send(token, unsent) => Ok(Self::readying(token, unsent)),
            Next::Replace(response, token, rejected) => {
                Ok(Self::Replacing { token, response: Some(response), rejected: Some(rejected) })
            }
        }
    }
}

impl<S, B, F, RB> Future for ResponseFuture<S, B, F, RB>
where
    S: Service<Request<B>, Response = Response<RB>, Future = F> + Clone,
    S::Error: Into<BoxError>,
    F: Future<Output = Result<Response<RB>, S::Error>>,
{
    type Output = Result<Response<RB>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Blocked { error } => return Poll::Ready(Err(taken(error).into())),
                StateProj::Acquiring { token, unsent } => {
                    let token = ready!(token.as_mut().poll(cx))?;
                    State::readying(token, taken(unsent))
                }
                StateProj::Readying { token, unsent, waited } => {
                    let service = &mut unsent.as_mut().expect(ENDED).service;
                    if service.poll_ready(cx).map_err(Into::into)?.is_pending() {
                        *waited = true;
                        return Poll::Pending;
                    }
                    let (token, mut unsent) = (taken(token), taken(unsent));
                    let token = if *waited { unsent.newest(token) } else { Some(token) };
                    match token {
                        Some(token) => {
                            let (future, sent) = unsent.send(&token)?;
                            State::Calling { future, sent: Some(sent) }
                        }
                        None => {
                            unsent.is_renewed = true;
                            // Nothing that was readied is held while there is a wait for a token.
                            unsent.service = unsent.service.clone();
                            State::acquiring(unsent)
                        }
                    }
                }
                StateProj::Calling { future, sent } => {
                    let response = match ready!(future.poll(cx)) {
                        Ok(response) => response,
                        Err(error) => {
                            *sent = None;
                            return Poll::Ready(Err(error.into()));
                        }
                    };
                    let verdict = sent.as_ref().map(|sent| sent.verdict(&response));
                    let Some(verdict) = verdict.filter(|verdict| *verdict != Verdict::Deliver)
                    else {
                        // Dropped where it is: it is large, and this is every request's way.
                        *sent = None;
                        return Poll::Ready(Ok(response));
                    };
                    match State::after(taken(sent).judge(response, verdict)) {
                        Ok(state) => state,
                        Err(response) => return Poll::Ready(Ok(response)),
                    }
                }
                StateProj::Replacing { token, response, rejected } => {
                    let token = ready!(token.as_mut().poll(cx));
                    // Taken in any case: what is left here would hold the first attempt back.
                    let rejected = taken(rejected);
                    let again = token.map_err(NotReplayed::from).and_then(|token| {
                        let unsent = rejected.into_unsent(&token).ok_or(NotReplayed::Body)?;
                        Ok((token, unsent))
                    });
                    match again {
                        Ok((token, unsent)) => State::readying(token, unsent),
                        Err(why) => return Poll::Ready(Ok(not_replayed(taken(response), why))),
                    }
                }
            };
            state.set(next);
        }
    }
}

const ENDED: &str = "each state is left by the poll that takes from it";

fn taken<T>(slot: &mut Option<T>) -> T {
    slot.take().expect(ENDED)
}

impl<S, B, F, RB> fmt::Debug for ResponseFuture<S, B, F, RB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
