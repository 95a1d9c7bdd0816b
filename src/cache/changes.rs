use std::{collections::VecDeque, fmt, sync::OnceLock};

use tokio::sync::watch;

use crate::error::TokenError;

/// How many changes are kept for those who have not read them yet.
const KEPT: usize = 16;

/// The changes of a [`TokenCache`](crate::TokenCache), from the moment of
/// [`TokenCache::changes`](crate::TokenCache::changes) on.
///
/// Changes come in the order in which they happened, and each reader gets all of them. The cache
/// keeps the last 16 for all readers together. A reader that is further behind misses the oldest.
/// It delays nobody, and [`TokenCache::status`](crate::TokenCache::status) says what holds now.
///
/// A reader does not keep the cache alive.
///
/// ```
/// use tower_bearer::{Token, TokenCache, TokenChange, TokenError, fetch_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TokenError> {
/// let tokens = TokenCache::new(fetch_fn(async |_| Token::bearer("mF_9.B5f-4.1JqM")));
/// let mut changes = tokens.changes();
/// let shown = tokio::spawn(async move {
///     let mut shown = Vec::new();
///     while let Some(change) = changes.next().await {
///         shown.push(match change {
///             TokenChange::Fetched => "fetched".to_owned(),
///             TokenChange::Renewed => "renewed".to_owned(),
///             TokenChange::Failed(error) => format!("failed: {error}"),
///             TokenChange::Rejected => "rejected".to_owned(),
///             _ => continue,
///         });
///     }
///     shown
/// });
///
/// let token = tokens.token().await?;
/// tokens.reject(&token);
/// drop(tokens);
/// assert_eq!(shown.await.unwrap(), ["fetched", "rejected"]);
/// # Ok(()) }
/// ```
pub struct TokenChanges {
    recent: watch::Receiver<Recent>,
    next: u64,
}

/// Something that happened to the token of a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenChange {
    /// A token has come, and there was none that could be used.
    Fetched,
    /// A token has come in the place of one that had not expired. Some issuers give the same
    /// token again.
    Renewed,
    /// A fetch has failed. The token is used on, if there is one that has not expired.
    Failed(TokenError),
    /// An API refused the token, and the cache is to get another. It comes once for each token,
    /// and not for a refusal that the cache [ignores](crate::TokenCache::reject).
    Rejected,
    /// The token was taken out of the cache, for the issuer to [revoke](crate::TokenCache::revoke) it.
    Revoked,
}

impl TokenChanges {
    /// Waits for the next change. `None` when the last clone of the cache is gone and every change
    /// has been read.
    ///
    /// To make a `Stream` of it, use `unfold` of the crate `futures`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no change.
    pub async fn next(&mut self) -> Option<TokenChange> {
        loop {
            if let Some(change) = self.unread() {
                return Some(change);
            }
            self.recent.changed().await.ok()?;
        }
    }

    fn unread(&mut self) -> Option<TokenChange> {
        let recent = self.recent.borrow();
        let next = self.next.max(recent.first);
        let change = recent.changes.get(usize::try_from(next - recent.first).ok()?)?.clone();
        self.next = next + 1;
        Some(change)
    }
}

impl fmt::Debug for TokenChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenChanges").finish_non_exhaustive()
    }
}

/// The last changes, and the number of the first of them.
#[derive(Default)]
struct Recent {
    first: u64,
    changes: VecDeque<TokenChange>,
}

impl Recent {
    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// Returns the change that has no room any more.
    fn push(&mut self, change: TokenChange) -> Option<TokenChange> {
        self.changes.push_back(change);
        if self.changes.len() <= KEPT {
            return None;
        }
        self.first += 1;
        self.changes.pop_front()
    }
}

/// Where the cache writes its changes. It costs nothing until somebody reads them.
#[derive(Default)]
pub(super) struct Feed {
    recent: OnceLock<watch::Sender<Recent>>,
}

impl Feed {
    pub(super) fn subscribe(&self) -> TokenChanges {
        let recent = self.recent.get_or_init(|| watch::Sender::new(Recent::default())).subscribe();
        let next = recent.borrow().next();
        TokenChanges { recent, next }
    }

    /// For the changes of one visit to the state. It is made before the lock is taken, so that it
    /// is dropped after the lock is released.
    pub(super) fn news(&self) -> News<'_> {
        News { feed: self, forgotten: Vec::new(), is_written: false }
    }
}

/// Changes are written under the lock, which puts them in order. Readers are woken by the drop.
pub(super) struct News<'a> {
    feed: &'a Feed,
    /// Dropping an error may run the fetcher's own code.
    forgotten: Vec<TokenChange>,
    is_written: bool,
}

impl News<'_> {
    pub(super) fn write(&mut self, change: impl FnOnce() -> TokenChange) {
        let Some(recent) = self.feed.recent.get().filter(|recent| recent.receiver_count() > 0)
        else {
            return;
        };
        // `false` wakes nobody.
        recent.send_if_modified(|recent| {
            self.forgotten.extend(recent.push(change()));
            false
        });
        self.is_written = true;
    }
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        if let Some(recent) = self.feed.recent.get().filter(|_| self.is_written) {
            recent.send_modify(|_| {});
        }
    }
}
