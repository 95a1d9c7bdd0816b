//! The replay policies: what a layer keeps of a request's body, so that it can send the request once
//! more.
//!
//! The layer asks one of these policies before the first attempt. All of them know the body type of
//! the inner client only, so that no client needs another body type for this.
//!
//! | policy | chosen by | body | costs each request |
//! | --- | --- | --- | --- |
//! | [`CloneBody`] | default | `Clone` | a clone of the body |
//! | [`TryClone`] | [`try_clone`] | any, some can be cloned | a call of your function |
//! | [`Buffered`] | [`buffered`] | any that can hold another body | an allocation, those of your function, up to `limit` bytes |
//! | [`NoReplay`] | [`no_replay`] | any | a hash of its host and the first part of its path; nothing is sent twice |
//!
//! Where the body is kept, the head of the request is copied into one buffer, and the inner service is
//! cloned. The buffer is parsed only for another attempt.
//!
//! [`try_clone`]: crate::BearerAuthLayer::try_clone
//! [`buffered`]: crate::BearerAuthLayer::buffered
//! [`no_replay`]: crate::BearerAuthLayer::no_replay

use std::fmt;

use http_body::Body;

pub use self::body::ReplayBody;
use self::sealed::Sealed;
pub(crate) use self::sealed::{Keep, Saved};
use crate::error::BoxError;

mod body;
mod body_error;
mod recorded;
mod remaining;
mod shared_body;

/// A replay policy for requests with a body of type `B`. Sealed: choose one of this module's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep a body of type `{B}` for a second attempt",
    label = "this body cannot be sent twice by `{Self}`",
    note = "`CloneBody`, the default, needs `B: Clone`; for other bodies call one of these on the layer:",
    note = "`buffered(limit, |body| ..)` keeps up to `limit` bytes, and makes a body from those",
    note = "`try_clone(|body| ..)` sends a body once more if your function can clone it",
    note = "`no_replay()` sends nothing twice"
)]
pub trait Replay<B>: Sealed<B> {}

/// Clones the body before the first attempt. The default; for bodies that are cheap to clone,
/// such as `Full<Bytes>`.
///
/// Costs a clone of the body and of the inner service, and a copy of the head, for every request,
/// whether it is sent again or not.
///
/// Another body does not compile:
///
/// ```compile_fail,E0277
/// # use tower::{Layer, Service, service_fn};
/// # use tower_bearer::{BearerAuthLayer, BoxError, Token, fetch_fn};
/// # let tokens = fetch_fn(async |_| Token::bearer("abc"));
/// # let client = service_fn(async |_: http::Request<Body>| {
/// #     Ok::<_, BoxError>(http::Response::new(()))
/// # });
/// # fn check(_: impl Service<http::Request<Body>>) {}
/// type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
///
/// check(BearerAuthLayer::new(tokens).layer(client));
/// ```
///
/// unless another policy is chosen:
///
/// ```
/// # use tower::{Layer, Service, service_fn};
/// # use tower_bearer::{BearerAuthLayer, BoxError, Token, fetch_fn};
/// # let tokens = fetch_fn(async |_| Token::bearer("abc"));
/// # let client = service_fn(async |_: http::Request<Body>| {
/// #     Ok::<_, BoxError>(http::Response::new(()))
/// # });
/// # fn check(_: impl Service<http::Request<Body>>) {}
/// type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
///
/// check(BearerAuthLayer::new(tokens).buffered(64 * 1024, Body::new).layer(client));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CloneBody;

// Without this the compiler says that `B: Clone` is missing, and not what else there is.
#[diagnostic::do_not_recommend]
impl<B: Clone> Replay<B> for CloneBody {}

impl<B: Clone> Sealed<B> for CloneBody {
    #[inline]
    fn keep(&self, body: &B) -> Keep<B> {
        Keep::Saved(Saved::Body(body.clone()))
    }

    fn clone_body(&self) -> Option<fn(&B) -> B> {
        Some(B::clone)
    }
}

/// Clones those bodies that a function can clone. The others are sent once. Made by
/// [`try_clone`](crate::BearerAuthLayer::try_clone).
///
/// For a body type that is not `Clone` because it may hold a stream, where most requests have no
/// stream in it. Costs what the function costs, for every request, and a clone of the head and of
/// the inner service for those that it clones.
#[derive(Clone, Copy)]
pub struct TryClone<F> {
    clone: F,
}

impl<F> TryClone<F> {
    pub(crate) fn new(clone: F) -> Self {
        Self { clone }
    }
}

impl<B, F: Fn(&B) -> Option<B>> Replay<B> for TryClone<F> {}

impl<B, F: Fn(&B) -> Option<B>> Sealed<B> for TryClone<F> {
    #[inline]
    fn keep(&self, body: &B) -> Keep<B> {
        (self.clone)(body).map_or(Keep::Nothing, |body| Keep::Saved(Saved::Body(body)))
    }
}

impl<F> fmt::Debug for TryClone<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryClone").finish_non_exhaustive()
    }
}

/// Keeps what the first attempt reads of the body, up to a limit. Made by
/// [`buffered`](crate::BearerAuthLayer::buffered).
///
/// For bodies that stream, and for body types that hide what they are. The first attempt streams
/// as it would without this: nothing is read ahead, and nothing waits.
///
/// # What is kept
///
/// At most `limit` bytes for each request in flight: the data, and the names and values of
/// trailers. The frame that would exceed the limit is not kept. From there on the body streams as
/// if this was not there, what was kept before is dropped at once, and if the token is refused the
/// caller gets the refusal, with [`NotReplayed::Body`](crate::NotReplayed::Body). What was kept is
/// dropped as well when there is a response that is no refusal, even if the body is still being
/// sent.
///
/// Data that is `Bytes` is shared with the first attempt, not copied; any other
/// [`Buf`](bytes::Buf) is copied once. Mind that a `Bytes` that is a part of a larger buffer keeps all
/// of that buffer.
///
/// # What it costs
///
/// Nothing, for a body that says beforehand that it is larger than the limit
/// ([`size_hint`](Body::size_hint)), which is sent as it is, and for one that says that it is
/// empty ([`is_end_stream`](Body::is_end_stream)), which can be sent again without being kept.
///
/// For any other: less than 512 bytes in one allocation, another if your function captures something,
/// what your function allocates, and while the body is kept two uncontended locks for each frame and a list of the frames. That list has
/// 32 bytes for each, and doubles as it grows. So where frames are of a few bytes it is larger than
/// what they hold; empty frames are not kept. A body that turns out to exceed the limit costs one more
/// allocation, and from there on nothing.
///
/// # A refusal that comes early
///
/// A server may answer 401 when it has seen the head of a request, while the body is still being
/// sent. That is replayed too: the second attempt sends what was kept and goes on with what nobody
/// has read yet. There is no limit on that part, since nothing is kept of it.
///
/// - While another token is fetched, the first attempt's body is held back: it is pending. So
///   nothing more counts towards the limit, and the refusal can still be read, should the caller
///   get it after all. In that case the first attempt then goes on where it was.
/// - When the second attempt is about to be sent, the first attempt's body ends with an error, if it
///   was not read to its end. An error and not an end, so that no server can take what it has for the
///   whole: in HTTP/1 the connection is closed, in HTTP/2 the stream is reset. This does not wait for
///   the second attempt to be on its way, as the first one may be what that has to wait for.
///
/// # Errors of the body
///
/// An error of the original body goes to the attempt that meets it. After one in the first attempt
/// there is no second.
#[derive(Clone, Copy)]
pub struct Buffered<F> {
    limit: usize,
    wrap: F,
}

impl<F> Buffered<F> {
    pub(crate) fn new(limit: usize, wrap: F) -> Self {
        Self { limit, wrap }
    }
}

impl<B, F> Replay<B> for Buffered<F>
where
    B: Body + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
    F: Fn(ReplayBody<B>) -> B + Clone + Send + 'static,
{
}

impl<B, F> Sealed<B> for Buffered<F>
where
    B: Body + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
    F: Fn(ReplayBody<B>) -> B + Clone + Send + 'static,
{
    fn keep(&self, body: &B) -> Keep<B> {
        if body.is_end_stream() {
            return Keep::Saved(Saved::Empty(Box::new(self.wrap.clone())));
        }
        match body.size_hint().lower() > self.limit as u64 {
            true => Keep::Nothing,
            false => Keep::Watch,
        }
    }

    fn watch(&self, body: B) -> (B, Option<Saved<B>>) {
        let (first, second) = ReplayBody::new(body, self.limit);
        ((self.wrap)(first), Some(Saved::Buffered(second, Box::new(self.wrap.clone()))))
    }
}

impl<F> fmt::Debug for Buffered<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Keeps nothing and sends nothing twice. A refused token is still renewed, for the next
/// request. Works with any body and costs nothing: no part of the request is cloned, nor the inner
/// service.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoReplay;

impl<B> Replay<B> for NoReplay {}

impl<B> Sealed<B> for NoReplay {
    #[inline]
    fn keep(&self, _: &B) -> Keep<B> {
        Keep::Nothing
    }
}

mod sealed {
    use http_body::Body;

    use super::body::{ReplayBody, Second};

    pub trait Sealed<B> {
        /// What is kept of this body.
        fn keep(&self, body: &B) -> Keep<B>;

        /// How the policy clones a body, if it does that with every body.
        fn clone_body(&self) -> Option<fn(&B) -> B> {
            None
        }

        /// The body for the first attempt, and what is kept of it while it is read.
        fn watch(&self, body: B) -> (B, Option<Saved<B>>) {
            (body, None)
        }
    }

    #[expect(missing_debug_implementations, reason = "nobody else can name it")]
    pub enum Keep<B> {
        Nothing,
        Saved(Saved<B>),
        /// That is seen only as the body is read: see `watch`.
        Watch,
    }

    /// What is kept of a body.
    #[expect(missing_debug_implementations, reason = "nobody else can name it")]
    pub enum Saved<B> {
        Body(B),
        /// There is nothing to keep of an empty body.
        Empty(Wrap<B>),
        Buffered(Second<B>, Wrap<B>),
    }

    /// The user's function. Most capture nothing, and a box of nothing is no allocation.
    type Wrap<B> = Box<dyn WrapBody<B>>;

    pub trait WrapBody<B>: Send {
        fn wrap(&self, body: ReplayBody<B>) -> B;

        /// What to send, and what is kept of it.
        fn watch(&self, body: B, limit: usize) -> (B, Second<B>);
    }

    impl<B, F> WrapBody<B> for F
    where
        B: Body,
        F: Fn(ReplayBody<B>) -> B + Send,
    {
        fn wrap(&self, body: ReplayBody<B>) -> B {
            self(body)
        }

        fn watch(&self, body: B, limit: usize) -> (B, Second<B>) {
            let (first, second) = ReplayBody::new(body, limit);
            (self(first), second)
        }
    }

    impl<B> Saved<B> {
        /// The first attempt was refused. Whether there can be a second.
        pub(crate) fn hold(&self) -> bool {
            match self {
                Self::Body(_) | Self::Empty(_) => true,
                Self::Buffered(second, _) => second.hold(),
            }
        }

        /// The body of the second attempt, which is about to be sent.
        pub(crate) fn into_body(self) -> Option<B> {
            match self {
                Self::Body(body) => Some(body),
                Self::Empty(wrap) => Some(wrap.wrap(ReplayBody::empty())),
                Self::Buffered(second, wrap) => Some(wrap.wrap(second.into_body()?)),
            }
        }

        /// The body for the next attempt, and what is kept of it for the one after that.
        pub(crate) fn again(self) -> Option<(B, Option<Self>)> {
            match self {
                Self::Body(body) => Some((body, None)),
                Self::Empty(wrap) => {
                    Some((wrap.wrap(ReplayBody::empty()), Some(Self::Empty(wrap))))
                }
                Self::Buffered(second, wrap) => {
                    let limit = second.limit();
                    let (first, second) = wrap.watch(wrap.wrap(second.into_body()?), limit);
                    Some((first, Some(Self::Buffered(second, wrap))))
                }
            }
        }
    }
}
