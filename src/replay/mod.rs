//! What is kept of a request, so that it can be sent once more.

pub(crate) use self::sealed::Saved;
use self::sealed::Sealed;

/// A replay policy for requests with a body of type `B`. Sealed: choose one of this module's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep a body of type `{B}` for a second attempt",
    label = "this body cannot be sent twice by `{Self}`",
    note = "`CloneBody`, the default, needs `B: Clone`; for other bodies call `no_replay()` on the layer"
)]
pub trait Replay<B>: Sealed<B> {}

/// Clones the body before the first attempt. The default; for bodies that are cheap to clone,
/// such as `Full<Bytes>`.
///
/// Costs a clone of the request for every request, whether it is sent again or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneBody;

impl<B: Clone> Replay<B> for CloneBody {}

impl<B: Clone> Sealed<B> for CloneBody {
    const KEEPS: bool = true;

    fn save(&self, body: B) -> (B, Saved<B>) {
        let saved = Saved::Body(body.clone());
        (body, saved)
    }
}

/// Clones the body before the first attempt if that is possible. Made by
/// [`try_clone`](crate::BearerAuthLayer::try_clone).
#[derive(Clone, Copy)]
pub struct TryClone<F> {
    clone: F,
}

impl<F> TryClone<F> {
    pub(crate) fn new(clone: F) -> Self {
        Self { clone }
    }
}

impl<F> std::fmt::Debug for TryClone<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TryClone").finish_non_exhaustive()
    }
}

impl<F: Fn(&B) -> Option<B>, B> Replay<B> for TryClone<F> {}

impl<F: Fn(&B) -> Option<B>, B> Sealed<B> for TryClone<F> {
    const KEEPS: bool = true;

    fn save(&self, body: B) -> (B, Saved<B>) {
        let saved = (self.clone)(&body).map_or(Saved::Nothing, Saved::Body);
        (body, saved)
    }
}

/// Keeps nothing and sends nothing twice. A refused token is still renewed, for the next
/// request. Works with any body and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReplay;

impl<B> Replay<B> for NoReplay {}

impl<B> Sealed<B> for NoReplay {
    const KEEPS: bool = false;

    fn save(&self, body: B) -> (B, Saved<B>) {
        (body, Saved::Nothing)
    }
}

mod sealed {
    pub trait Sealed<B> {
        /// Whether `save` ever keeps anything.
        const KEEPS: bool;

        /// The body for the first attempt, and what is kept for the second.
        fn save(&self, body: B) -> (B, Saved<B>);
    }

    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Saved<B> {
        Body(B),
        Nothing,
    }

    impl<B> Saved<B> {
        pub(crate) fn into_body(self) -> Option<B> {
            match self {
                Self::Body(body) => Some(body),
                Self::Nothing => None,
            }
        }
    }
}
