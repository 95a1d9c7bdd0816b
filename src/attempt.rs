//! A request on its way: what is sent, and what is kept for another attempt.

use std::{future::Future, pin::Pin};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    cache::{ReplaceError, Source},
    error::TokenError,
    not_replayed::NotReplayed,
    replay::Saved,
    request_copy::RequestCopy,
    settings::{Attached, RequestSettings},
    token::Token,
    verdict::{Attempt, Verdict, With, verdict},
};

/// A request that waits for its token, or for the inner service.
pub(crate) struct Unsent<S, B> {
    pub(crate) settings: RequestSettings,
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) kept: Kept<RequestCopy<B>>,
    pub(crate) attempt: Attempt,
    /// The token was exchanged for a newer one while the inner service was not ready.
    pub(crate) is_renewed: bool,
    /// How the body is cloned, if the token turns out to be bound.
    pub(crate) clone_body: Option<fn(&B) -> B>,
}

/// A request that the inner service has.
pub(crate) struct Sent<S, B> {
    pub(crate) settings: RequestSettings,
    pub(crate) attached: Attached,
    pub(crate) kept: Kept<(S, RequestCopy<B>)>,
    pub(crate) attempt: Attempt,
}

/// What another attempt is made from.
pub(crate) enum Kept<T> {
    Copy(T),
    /// There is no other attempt. A rejection is told to the cache with this source.
    Nothing(Source),
}

/// A request whose token was rejected, and which is sent again when there is another token.
pub(crate) struct Rejected<S, B> {
    settings: RequestSettings,
    service: S,
    copy: RequestCopy<B>,
    source: Source,
    attempt: Attempt,
}

/// A token that the request waits for.
pub(crate) type Wait<E> = Pin<Box<dyn Future<Output = Result<Token, E>> + Send>>;

/// What follows a response that is more than the caller's.
pub(crate) enum Next<S, B, RB> {
    Deliver(Response<RB>),
    /// With the token that the request had.
    Send(Token, Box<Unsent<S, B>>),
    Replace(Response<RB>, Wait<ReplaceError>, Box<Rejected<S, B>>),
}

impl<S, B> Unsent<S, B> {
    pub(crate) fn new(
        settings: RequestSettings,
        service: S,
        request: Request<B>,
        kept: Kept<RequestCopy<B>>,
        attempt: Attempt,
    ) -> Self {
        Self { settings, service, request, kept, attempt, is_renewed: false, clone_body: None }
    }

    /// After a wait for the inner service, there may be a newer token in the cache. `None` if a first attempt
    /// is to wait for one, as its own is spent by now.
    pub(crate) fn newest(&self, token: Token) -> Option<Token> {
        let tokens = self.settings.tokens();
        match tokens.at_once(Token::clone) {
            Some(newer) => Some(newer),
            None if self.attempt.is_second => Some(token),
            None => tokens.peek_unsuspected().or_else(|| self.is_renewed.then_some(token)),
        }
    }

    pub(crate) fn send(mut self, token: &Token) -> Result<(S::Future, Sent<S, B>), TokenError>
    where
        S: Service<Request<B>>,
    {
        let attached = self.settings.attach(&mut self.request, token)?;
        if let (Some(_), Some(clone), Kept::Copy(copy)) =
            (&attached.proof, self.clone_body, &mut self.kept)
        {
            copy.keep_another(Saved::Body(clone(self.request.body())));
        }
        let Self { settings, mut service, request, kept, attempt, .. } = self;
        let future = service.call(request);
        let kept = match kept {
            Kept::Copy(copy) => Kept::Copy((service, copy)),
            Kept::Nothing(source) => Kept::Nothing(source),
        };
        Ok((future, Sent { settings, attached, kept, attempt }))
    }
}

impl<S, B> Sent<S, B> {
    #[inline]
    pub(crate) fn verdict<RB>(&self, response: &Response<RB>) -> Verdict {
        let (status, headers) = (response.status(), response.headers());
        let settings = self.settings.layer();
        verdict(
            status,
            headers,
            settings,
            self.attempt,
            self.attached.proof.as_ref().and_then(|proof| {
                proof
                    .check
                    .objection(status, headers, &|| settings.rejection.is_in(status, headers))
            }),
        )
    }

    /// Does what the verdict says.
    pub(crate) fn judge<RB>(self, response: Response<RB>, verdict: Verdict) -> Next<S, B, RB> {
        match verdict {
            Verdict::Deliver => Next::Deliver(response),
            Verdict::Helped => {
                self.settings.tokens().accepted(self.attached.token, self.source());
                Next::Deliver(response)
            }
            Verdict::RejectedAgain => {
                self.settings.tokens().refused_again(self.attached.token, self.source());
                Next::Deliver(response)
            }
            Verdict::SendAgain(With::SameToken) => self.repeat(response),
            Verdict::SendAgain(With::AnotherToken | With::TokenWithClaims) => {
                let (source, token) = (self.source(), self.attached.token);
                let claims = self.settings.layer().claims_in(response.status(), response.headers());
                let Self { settings, kept, attempt, .. } = self;
                let tokens = settings.tokens();
                match kept {
                    Kept::Copy((service, copy)) if copy.hold() => {
                        let token = Box::pin(tokens.clone().replace(token, source, claims));
                        let rejected = Rejected { settings, service, copy, source, attempt };
                        Next::Replace(response, token, Box::new(rejected))
                    }
                    // The claims are those that this one request wants.
                    _ if claims.is_some() => Next::Deliver(response),
                    _ => {
                        tokens.refused_once(token, source);
                        Next::Deliver(not_replayed(response, NotReplayed::Body))
                    }
                }
            }
        }
    }

    /// Sends the request again with the same token.
    fn repeat<RB>(self, response: Response<RB>) -> Next<S, B, RB> {
        let source = self.source();
        let Self { settings, attached, kept, mut attempt } = self;
        attempt.is_repeat = true;
        let again = match (attached.proof, kept) {
            (Some(proof), Kept::Copy((service, copy))) if copy.hold() => {
                copy.again().map(|(request, copy)| (proof.token, service, request, copy))
            }
            _ => None,
        };
        let Some((token, service, request, copy)) = again else {
            return Next::Deliver(not_replayed(response, NotReplayed::Body));
        };
        let kept = copy.map_or(Kept::Nothing(source), Kept::Copy);
        Next::Send(token, Box::new(Unsent::new(settings, service, request, kept, attempt)))
    }

    fn source(&self) -> Source {
        match &self.kept {
            Kept::Copy((_, copy)) => self.settings.layer().source_of(copy.place()),
            Kept::Nothing(source) => *source,
        }
    }
}

impl<S, B> Rejected<S, B> {
    /// The second attempt, if the body can still be sent.
    pub(crate) fn into_unsent(self, token: &Token) -> Option<Box<Unsent<S, B>>> {
        let Self { settings, service, copy, source, attempt } = self;
        // With a bound token it may have to be repeated in turn.
        let (request, copy) = match token.binding() {
            Some(_) if !attempt.is_repeat => copy.again()?,
            _ => (copy.into_request()?, None),
        };
        let kept = copy.map_or(Kept::Nothing(source), Kept::Copy);
        let attempt = Attempt { is_second: true, ..attempt };
        Some(Box::new(Unsent::new(settings, service, request, kept, attempt)))
    }
}

pub(crate) fn not_replayed<RB>(mut response: Response<RB>, why: NotReplayed) -> Response<RB> {
    response.extensions_mut().insert(why);
    response
}
