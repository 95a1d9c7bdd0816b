//! `TokenStore`: what a store has to do for the processes that share a token.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::error::BoxError;

/// Keeps one token for many processes, and a lock for the one of them that fetches the next.
///
/// Any key-value store can do this that has an expiry and a compare-and-set. [`Shared`](crate::Shared)
/// calls it, seals what is stored, and does not wait long for an answer. A failure of the store costs
/// no request: the process asks the issuer by itself.
///
/// A key has an entry and a lock, and each of the two disappears by itself when its time is up. All times
/// are durations that the store measures with its own clock. The methods of one key take effect one after
/// the other, each of them whole or not at all. A caller may drop the future of any of them, and then
/// cannot know whether it has taken effect.
///
/// Keys and owners are ASCII letters, digits, `:` and `-`, and are at most 128 characters long.
pub trait TokenStore: Send + Sync + 'static {
    /// What a failed operation returns.
    type Error: Into<BoxError>;

    /// The entry of `key`, and how much longer it is there.
    fn load(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<StoreEntry>, Self::Error>> + Send;

    /// Takes the lock of `key` for `lease`, if nobody has it, or prolongs it to `lease` from now, if
    /// `owner` has it. Returns whether `owner` has it now.
    fn lock(
        &self,
        key: &str,
        owner: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Puts `value` in the place of the entry of `key` for `expires_in`, and lets the lock go, if `owner`
    /// has the lock. Otherwise changes nothing. Returns whether it was stored.
    ///
    /// The look at the lock and the change are one step. This keeps a process that was held up for longer than
    /// its lease from putting its token over a newer one.
    fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Lets the lock of `key` go, if `owner` has it. Otherwise changes nothing.
    fn unlock(
        &self,
        key: &str,
        owner: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether nobody but this client's processes can read what is stored, so that it may lie there
    /// unsealed. `false` unless a store says otherwise.
    fn is_private(&self) -> bool {
        false
    }
}

/// What lies in a [`TokenStore`]. `Debug` does not show the value, which may be a token.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreEntry {
    /// What was stored.
    pub value: Bytes,
    /// How much longer it is there.
    pub expires_in: Duration,
}

impl StoreEntry {
    /// An entry that is there for so much longer.
    pub fn new(value: impl Into<Bytes>, expires_in: Duration) -> Self {
        Self { value: value.into(), expires_in }
    }
}

impl fmt::Debug for StoreEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreEntry")
            .field("length", &self.value.len())
            .field("expires_in", &self.expires_in)
            .finish()
    }
}

impl<S: TokenStore> TokenStore for Arc<S> {
    type Error = S::Error;

    fn load(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<StoreEntry>, Self::Error>> + Send {
        S::load(self, key)
    }

    fn lock(
        &self,
        key: &str,
        owner: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        S::lock(self, key, owner, lease)
    }

    fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        S::store(self, key, owner, value, expires_in)
    }

    fn unlock(
        &self,
        key: &str,
        owner: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        S::unlock(self, key, owner)
    }

    fn is_private(&self) -> bool {
        S::is_private(self)
    }
}
