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
    bound::{Bound, NonceAttempt, Objection},
    cache::Source,
    error::{BoxError, TokenError},
    fetcher::FetchesBehind,
    not_replayed::NotReplayed,
    request_copy::RequestCopy,
    settings::{Attached, RequestSettings},
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
    pub(crate) nonce_attempt: NonceAttempt<B>,
    /// Its token expired once already while the service was busy.
    pub(crate) renewed: bool,
}

/// What a request leaves behind that the inner service has.
pub(crate) struct Sent<S, B> {
    pub(crate) settings: RequestSettings,
    pub(crate) token: TokenId,
    pub(crate) bound: Option<Bound<B>>,
    pub(crate) turn: Turn<(S, RequestCopy<B>)>,
}

/// A request that was refused and may be sent once more, if there is another token.
pub(crate) struct Refused<S, B> {
    settings: RequestSettings,
    service: S,
    copy: RequestCopy<B>,
    source: Source,
    is_wider: bool,
    nonce_attempt: NonceAttempt<B>,
}

/// With which token it is sent: the first that there was, or another after that one was refused. The
/// first has with it what another attempt needs, if there can be one. A second has that if a nonce may
/// be asked for.
pub(crate) enum Turn<T> {
    First(T),
    /// There can be no second.
    Once(Source),
    Second(Source, Option<Box<T>>),
    /// A second, with a token of a wider scope, which no first attempt ever has.
    Wider(Source, Option<Box<T>>),
}

impl<T> Turn<T> {
    /// Its response is the caller's, whatever it says of the token.
    fn is_last(&self) -> bool {
        matches!(self, Self::Second(..) | Self::Wider(..))
    }

    fn map<U>(self, map: impl FnOnce(T) -> U) -> Turn<U> {
        match self {
            Self::First(copy) => Turn::First(map(copy)),
            Self::Once(source) => Turn::Once(source),
            Self::Second(source, copy) => Turn::Second(source, copy.map(|c| Box::new(map(*c)))),
            Self::Wider(source, copy) => Turn::Wider(source, copy.map(|c| Box::new(map(*c)))),
        }
    }
}

impl<S, B, F, RB> ResponseFuture<S, B, F, RB> {
    pub(crate) fn refused(error: TokenError) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }

    /// Nothing happens before the first poll.
    pub(crate) fn acquiring(unsent: Unsent<S, B>) -> Self {
        Self { state: State::acquiring(Box::new(unsent)) }
    }

    /// The inner service was readied for a request whose token needs a proof, which is made in the first poll.
    pub(crate) fn readied(token: Token, unsent: Unsent<S, B>) -> Self {
        Self { state: State::readying(token, Some(Box::new(unsent))) }
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
                        Judgement::Nonce(token, unsent) => State::readying(token, Some(unsent)),
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
                    let token = token.and_then(|token| match refused.into_unsent(&token) {
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
        if self.turn.is_last() {
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
        let Attached { token, mut bound } = self.settings.attach(&mut self.request, &token)?;
        let Self { settings, mut service, request, turn, nonce_attempt, .. } = self;
        match &mut bound {
            Some(bound) => bound.allow(nonce_attempt, request.body()),
            None => drop(nonce_attempt),
        }
        let future = service.call(request);
        let turn = turn.map(|copy| (service, copy));
        Ok((future, Sent { settings, token, bound, turn }))
    }
}

enum Judgement<S, B, RB> {
    Answer(Response<RB>),
    /// The same token is to be sent once more, with the nonce that is known now.
    Nonce(Token, Box<Unsent<S, B>>),
    Refusal(Response<RB>, Wait<NotReplayed>, Box<Refused<S, B>>),
}

/// What a response says about the token.
#[derive(Clone, Copy)]
enum Verdict {
    /// Nothing against it.
    Accepted,
    /// Nothing, but the proof that goes with it has to have another nonce.
    WithNonce,
    Refused,
    /// Perhaps that another is wanted: its challenge is still to be read.
    Unread,
}

impl<S, B> Sent<S, B> {
    /// What the response says about the token, if anything follows from that.
    #[inline]
    fn verdict<RB>(&self, response: &Response<RB>) -> Option<Verdict> {
        match &self.bound {
            None => self.verdict_on_token(response),
            Some(_) => self.verdict_on_bound(response),
        }
    }

    #[inline]
    fn verdict_on_token<RB>(&self, response: &Response<RB>) -> Option<Verdict> {
        let status = response.status();
        if self.settings.step_up().may_want(status) {
            return Some(Verdict::Unread);
        }
        match self.settings.rejection().is_in(status, response.headers()) {
            true => Some(Verdict::Refused),
            false if self.turn.is_last() => Some(Verdict::Accepted),
            false => None,
        }
    }

    /// What it has against the proof says nothing about the token.
    #[cold]
    fn verdict_on_bound<RB>(&self, response: &Response<RB>) -> Option<Verdict> {
        match self.objection(response) {
            Some(Objection::Nonce) => Some(Verdict::WithNonce),
            Some(Objection::Other) if !self.settings.step_up().may_want(response.status()) => None,
            Some(Objection::Other) | None => self.verdict_on_token(response),
        }
    }

    fn objection<RB>(&self, response: &Response<RB>) -> Option<Objection> {
        let (status, headers) = (response.status(), response.headers());
        let is_rejection = || self.settings.rejection().is_in(status, headers);
        self.bound.as_ref()?.objection(status, headers, is_rejection)
    }

    /// The request once more, with the same token, if its body can be sent again.
    fn with_nonce<RB>(self, response: Response<RB>) -> Judgement<S, B, RB> {
        let Self { settings, bound, turn, .. } = self;
        let (first, then) = match turn {
            Turn::First(first) => (Some(first), None),
            Turn::Once(_) => (None, None),
            Turn::Second(source, spare) => (spare.map(|s| *s), Some(Turn::Second(source, None))),
            Turn::Wider(source, spare) => (spare.map(|s| *s), Some(Turn::Wider(source, None))),
        };
        let (Some(bound), Some((service, copy))) = (bound, first.filter(|(_, copy)| copy.hold()))
        else {
            return Judgement::Answer(not_replayed(response, NotReplayed::Body));
        };
        let (token, attempt) = bound.into_parts();
        let Some((request, copy)) = copy.again(attempt.into_body()) else {
            return Judgement::Answer(not_replayed(response, NotReplayed::Body));
        };
        let turn = then.unwrap_or_else(|| match copy {
            Some(copy) => Turn::First(copy),
            None => Turn::Once(settings.source(request.uri())),
        });
        let nonce_attempt = NonceAttempt::without_body(true);
        let unsent = Unsent { settings, service, request, turn, nonce_attempt, renewed: false };
        Judgement::Nonce(token, Box::new(unsent))
    }

    fn judge<RB>(self, response: Response<RB>, verdict: Verdict) -> Judgement<S, B, RB> {
        if let Verdict::WithNonce = verdict {
            return self.with_nonce(response);
        }
        // Whether it is a rejection was not asked yet.
        let objects = matches!(verdict, Verdict::Unread) && self.objection(&response).is_some();
        let Self { settings, token, bound, turn } = self;
        let (status, headers) = (response.status(), response.headers());
        let (refused, wanted) = match verdict {
            Verdict::Accepted | Verdict::WithNonce => (false, None),
            Verdict::Refused => (true, None),
            Verdict::Unread => {
                let step_up = settings.step_up();
                let wanted = match turn.is_last() {
                    true => step_up.wanted_claims(status, headers).map(Wanted::Claims),
                    false => step_up.wanted(status, headers),
                };
                let refused =
                    wanted.is_none() && !objects && settings.rejection().is_in(status, headers);
                (refused, wanted)
            }
        };
        let (service, copy) = match turn {
            Turn::First(first) if refused || wanted.is_some() => first,
            Turn::Once(source) if refused => {
                let why = settings.tokens().not_replayed(token, source);
                return Judgement::Answer(not_replayed(response, why));
            }
            Turn::First(_) | Turn::Once(_) => return Judgement::Answer(response),
            Turn::Second(source, _) => {
                // A token that was fetched for claims, and does not have them, is no help.
                if refused || matches!(wanted, Some(Wanted::Claims(_))) {
                    settings.tokens().refused_again(token, source);
                } else if !objects && !says_nothing(&response) {
                    settings.tokens().accepted(token, source);
                }
                return Judgement::Answer(response);
            }
            Turn::Wider(source, _) => {
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
                let fetches = copy.extensions().get::<FetchesBehind>();
                let waits_for_itself = fetches.is_some_and(|fetches| tokens.waits_for(fetches));
                let wider = tokens.clone().acquire();
                let wider = async move {
                    if waits_for_itself {
                        return Err(NotReplayed::NoToken(TokenError::behind_itself()));
                    }
                    match wider.await.map_err(NotReplayed::NoToken)? {
                        same if same.id() == token => Err(NotReplayed::SameToken),
                        wider => Ok(wider),
                    }
                };
                (settings.with_tokens(tokens), Box::pin(wider))
            }
        };
        let nonce_attempt = match bound {
            Some(bound) => bound.into_parts().1,
            None => NonceAttempt::without_body(true),
        };
        let refused = Refused { settings, service, copy, source, is_wider, nonce_attempt };
        Judgement::Refusal(response, token, Box::new(refused))
    }
}

impl<S, B> Refused<S, B> {
    fn into_unsent(self, token: &Token) -> Option<Box<Unsent<S, B>>> {
        let Self { settings, service, copy, source, is_wider, nonce_attempt } = self;
        let is_spent = nonce_attempt.is_spent();
        let (request, spare) = match Bound::<B>::is_needed_for(token) && !is_spent {
            true => copy.again(nonce_attempt.into_body())?,
            false => (copy.into_request()?, None),
        };
        let spare = spare.map(Box::new);
        let turn = if is_wider { Turn::Wider(source, spare) } else { Turn::Second(source, spare) };
        let nonce_attempt = NonceAttempt::without_body(is_spent);
        let unsent = Unsent { settings, service, request, turn, nonce_attempt, renewed: false };
        Some(Box::new(unsent))
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
