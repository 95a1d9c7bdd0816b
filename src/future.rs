//! The futures of the services.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

#[cfg(any(feature = "reqwest", feature = "reqwest-012"))]
pub use crate::reqwest_client::ReqwestFuture;
use crate::{
    cache::Source,
    error::{BoxError, TokenError},
    not_replayed::NotReplayed,
    request_copy::RequestCopy,
    settings::RequestSettings,
    step_up::Wanted,
    token::{Token, TokenId},
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
        Refused {
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
        // The first attempt was refused. Its response is kept, should there be no second.
        Replacing {
            token: Wait<NotReplayed>,
            refusal: Option<Res>,
            refused: Option<Box<Refused<S, B>>>,
        },
    }
}

type Wait<E> = Pin<Box<dyn Future<Output = Result<Token, E>> + Send>>;

/// A request on its way to the inner service.
pub(crate) struct Unsent<S, B> {
    pub(crate) settings: RequestSettings,
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) turn: Turn<RequestCopy<B>>,
    /// Its token expired once already while the service was busy.
    pub(crate) renewed: bool,
}

/// What a request leaves behind that the inner service has.
pub(crate) struct Sent<S, B> {
    pub(crate) settings: RequestSettings,
    pub(crate) token: TokenId,
    pub(crate) turn: Turn<(S, RequestCopy<B>)>,
}

/// A request that was refused and may be sent once more, if there is another token.
pub(crate) struct Refused<S, B> {
    settings: RequestSettings,
    service: S,
    copy: RequestCopy<B>,
    source: Source,
    is_wider: bool,
}

/// Which attempt it is. The first has with it what a second needs, if there can be one.
pub(crate) enum Turn<T> {
    First(T),
    /// There can be no second.
    Once(Source),
    Second(Source),
    /// A second, with a token of a wider scope, which no first attempt ever has.
    Wider(Source),
}

impl<S, B, F, RB> ResponseFuture<S, B, F, RB> {
    pub(crate) fn refused(error: TokenError) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }

    /// Nothing happens before the first poll.
    pub(crate) fn acquiring(unsent: Unsent<S, B>) -> Self {
        Self { state: State::acquiring(Box::new(unsent)) }
    }

    /// Without `sent`, the response is the caller's as it is.
    pub(crate) fn calling(future: F, sent: Option<Sent<S, B>>) -> Self {
        Self { state: State::Calling { future, sent } }
    }
}

impl<S, B, F, Res> State<S, B, F, Res> {
    fn acquiring(unsent: Box<Unsent<S, B>>) -> Self {
        let token = Box::pin(unsent.settings.tokens().clone().acquire());
        Self::Acquiring { token, unsent: Some(unsent) }
    }

    fn readying(token: Token, unsent: Option<Box<Unsent<S, B>>>) -> Self {
        Self::Readying { token: Some(token), unsent, waited: false }
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
        const ENDED: &str = "each state is left by the poll that takes from it";
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Refused { error } => {
                    return Poll::Ready(Err(error.take().expect(ENDED).into()));
                }
                StateProj::Acquiring { token, unsent } => {
                    let token = ready!(token.as_mut().poll(cx))?;
                    State::readying(token, unsent.take())
                }
                StateProj::Readying { token, unsent, waited } => {
                    let waiting = unsent.as_mut().expect(ENDED);
                    if waiting.service.poll_ready(cx).map_err(Into::into)?.is_pending() {
                        *waited = true;
                        return Poll::Pending;
                    }
                    let (token, unsent) = (token.take().expect(ENDED), unsent.take().expect(ENDED));
                    match unsent.renew(token, *waited) {
                        Renewal::Send(token, unsent) => {
                            let (future, sent) = unsent.send(token)?;
                            State::Calling { future, sent: Some(sent) }
                        }
                        Renewal::Acquire(unsent) => State::acquiring(unsent),
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
                    let verdict = sent.as_ref().and_then(|sent| sent.verdict(&response));
                    let Some(verdict) = verdict else {
                        // Dropped where it is: it is large, and this is every request's way.
                        *sent = None;
                        return Poll::Ready(Ok(response));
                    };
                    match sent.take().expect(ENDED).judge(response, verdict) {
                        Judgement::Answer(response) => return Poll::Ready(Ok(response)),
                        Judgement::Refusal(response, token, refused) => State::Replacing {
                            token,
                            refusal: Some(response),
                            refused: Some(refused),
                        },
                    }
                }
                StateProj::Replacing { token, refusal, refused } => {
                    let token = ready!(token.as_mut().poll(cx));
                    // Taken in any case: what is left here would hold the first attempt back.
                    let refused = refused.take().expect(ENDED);
                    let token = token.and_then(|token| match refused.into_unsent() {
                        Some(unsent) => Ok((token, unsent)),
                        None => Err(NotReplayed::Body),
                    });
                    match token {
                        Ok((token, unsent)) => State::readying(token, Some(unsent)),
                        Err(why) => {
                            let response = refusal.take().expect(ENDED);
                            return Poll::Ready(Ok(not_replayed(response, why)));
                        }
                    }
                }
            };
            state.set(next);
        }
    }
}

enum Renewal<S, B> {
    Send(Token, Box<Unsent<S, B>>),
    Acquire(Box<Unsent<S, B>>),
}

impl<S, B> Unsent<S, B> {
    /// The service may have taken its time to become ready, so that the token has expired
    /// meanwhile. To wait for another, the readied instance has to go; that happens once, as a
    /// token may live for less time than that service takes.
    fn renew(mut self: Box<Self>, token: Token, waited: bool) -> Renewal<S, B>
    where
        S: Clone,
    {
        if !waited {
            return Renewal::Send(token, self);
        }
        let tokens = &self.settings.tokens();
        if let Turn::Second(_) | Turn::Wider(_) = self.turn {
            let token = tokens.at_once(Token::clone).unwrap_or(token);
            return Renewal::Send(token, self);
        }
        match tokens.at_once(Token::clone).or_else(|| tokens.peek_unsuspected()) {
            Some(token) => Renewal::Send(token, self),
            None if self.renewed => Renewal::Send(token, self),
            None => {
                self.renewed = true;
                self.service = self.service.clone();
                Renewal::Acquire(self)
            }
        }
    }

    /// The service has been readied.
    fn send(mut self, token: Token) -> Result<(S::Future, Sent<S, B>), TokenError>
    where
        S: Service<Request<B>>,
    {
        let token = self.settings.attach(&mut self.request, &token);
        let future = self.service.call(self.request);
        let turn = match self.turn {
            Turn::First(copy) => Turn::First((self.service, copy)),
            Turn::Once(source) => Turn::Once(source),
            Turn::Second(source) => Turn::Second(source),
            Turn::Wider(source) => Turn::Wider(source),
        };
        Ok((future, Sent { settings: self.settings, token, turn }))
    }
}

enum Judgement<S, B, RB> {
    Answer(Response<RB>),
    Refusal(Response<RB>, Wait<NotReplayed>, Box<Refused<S, B>>),
}

/// What a response says about the token.
#[derive(Clone, Copy)]
enum Verdict {
    /// Nothing against it.
    Accepted,
    Refused,
    /// Perhaps that another is wanted: its challenge is still to be read.
    Unread,
}

impl<S, B> Sent<S, B> {
    /// What the response says about the token, if anything follows from that.
    #[inline]
    fn verdict<RB>(&self, response: &Response<RB>) -> Option<Verdict> {
        let status = response.status();
        if self.settings.step_up().may_want(status) {
            return Some(Verdict::Unread);
        }
        match self.settings.rejection().is_in(status, response.headers()) {
            true => Some(Verdict::Refused),
            false if matches!(self.turn, Turn::Second(_) | Turn::Wider(_)) => {
                Some(Verdict::Accepted)
            }
            false => None,
        }
    }

    fn judge<RB>(self, response: Response<RB>, verdict: Verdict) -> Judgement<S, B, RB> {
        let Self { settings, token, turn } = self;
        let (status, headers) = (response.status(), response.headers());
        let (refused, wanted) = match verdict {
            Verdict::Accepted => (false, None),
            Verdict::Refused => (true, None),
            Verdict::Unread => match settings.step_up().wanted(status, headers) {
                None => (settings.rejection().is_in(status, headers), None),
                wanted => (false, wanted),
            },
        };
        let (service, copy) = match turn {
            Turn::First(first) if refused || wanted.is_some() => first,
            Turn::Once(source) if refused => {
                let why = settings.tokens().not_replayed(token, source);
                return Judgement::Answer(not_replayed(response, why));
            }
            Turn::First(_) | Turn::Once(_) => return Judgement::Answer(response),
            Turn::Second(source) => {
                // A token that was fetched for claims, and does not have them, is no help.
                if refused || matches!(wanted, Some(Wanted::Claims(_))) {
                    settings.tokens().refused_again(token, source);
                } else if !says_nothing(&response) {
                    settings.tokens().accepted(token, source);
                }
                return Judgement::Answer(response);
            }
            Turn::Wider(source) => {
                // No later request would be the first to find that out.
                match wanted {
                    Some(Wanted::Claims(claims)) => {
                        settings.tokens().refused(token, source, Some(claims));
                    }
                    _ if refused => settings.tokens().refused(token, source, None),
                    _ => {}
                }
                return Judgement::Answer(response);
            }
        };
        let source = settings.source_of(copy.place());
        if !copy.hold() {
            if !refused {
                return Judgement::Answer(response);
            }
            let why = settings.tokens().not_replayed(token, source);
            return Judgement::Answer(not_replayed(response, why));
        }
        let tokens = settings.tokens().clone();
        let mut is_wider = false;
        let (settings, token): (_, Wait<NotReplayed>) = match wanted {
            None => (settings, Box::pin(tokens.replace(token, source, None))),
            Some(Wanted::Claims(claims)) => {
                (settings, Box::pin(tokens.replace(token, source, Some(claims))))
            }
            Some(Wanted::Scope(tokens)) => {
                is_wider = true;
                let wider = tokens.clone().acquire();
                let wider = async move {
                    match wider.await.map_err(NotReplayed::NoToken)? {
                        same if same.id() == token => Err(NotReplayed::SameToken),
                        wider => Ok(wider),
                    }
                };
                (settings.with_tokens(tokens), Box::pin(wider))
            }
        };
        let refused = Refused { settings, service, copy, source, is_wider };
        Judgement::Refusal(response, token, Box::new(refused))
    }
}

impl<S, B> Refused<S, B> {
    fn into_unsent(self) -> Option<Box<Unsent<S, B>>> {
        let Self { settings, service, copy, source, is_wider } = self;
        let request = copy.into_request()?;
        let turn = if is_wider { Turn::Wider(source) } else { Turn::Second(source) };
        Some(Box::new(Unsent { settings, service, request, turn, renewed: false }))
    }
}

/// Whether the token was good is not what this answer is about.
fn says_nothing<RB>(response: &Response<RB>) -> bool {
    let status = response.status();
    let grpc = response.headers().get("grpc-status").map(|s| s.as_bytes());
    // Those that gRPC has for 5xx and 429: deadline, exhausted, internal, unavailable ..
    let grpc = matches!(grpc, Some(b"1" | b"2" | b"4" | b"8" | b"13" | b"14" | b"15"));
    grpc || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn not_replayed<RB>(mut response: Response<RB>, why: NotReplayed) -> Response<RB> {
    response.extensions_mut().insert(why);
    response
}

impl<S, B, F, RB> fmt::Debug for ResponseFuture<S, B, F, RB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
