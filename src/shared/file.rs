mod directory;
mod moment;
mod record;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    task,
    time::{Instant, sleep},
};

use self::{
    directory::{Directory, LockedDirectory},
    moment::Moment,
    record::Record,
};
use crate::{
    error::TokenError,
    shared::store::{StoreEntry, TokenStore},
};

/// How long an operation tries to get at a directory that others are changing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A [`TokenStore`] in a directory, for the processes of one user on one machine: command-line tools, cron
/// jobs, prefork servers. On Unix alone.
///
/// ```
/// use tower_bearer::FileStore;
///
/// # fn main() -> Result<(), tower_bearer::TokenError> {
/// # let parent = tempfile::tempdir().unwrap();
/// # let cache_home = parent.path();
/// let store = FileStore::open(cache_home.join("orders/tokens"))?;
/// # Ok(())
/// # }
/// ```
///
/// Its files have the mode 0600, and the directory has 0700 if the store makes it. So nobody but the user and
/// the superuser can read them, and the store counts as [private](TokenStore::is_private).
///
/// A change writes another file and renames it, under an advisory lock (`flock`) of the directory that is
/// held for that moment. A process may be killed at any point: the system gives its advisory lock back, a
/// half-written file is written over, and the lock of a [`TokenStore`] is data with an expiry, as in any
/// store.
///
/// Time is measured by the clock that counts from the machine's start and that all its processes see, so a
/// step of the wall clock cannot make a token live longer. A step forward can make it live shorter. After a
/// restart of the machine what was stored is void; nothing is flushed to the disk for that reason.
///
/// A directory on a network file system is not for several machines: to each of them what the others have
/// stored is void.
///
/// # Errors
///
/// Errors of an operation are those of the file system. One that says `PermissionDenied` may also mean that
/// others can write to the directory by now.
#[derive(Clone)]
pub struct FileStore {
    path: Arc<PathBuf>,
}

impl FileStore {
    /// A store in this directory, which is made if there is none. Looks at it at once, and removes what has
    /// expired.
    ///
    /// # Errors
    ///
    /// The directory cannot be made or read, belongs to another user, or can be written to by others
    /// ([`is_config`](TokenError::is_config)). The [source](std::error::Error::source) says which.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokenError> {
        let path = path.into();
        let swept = Directory::open(&path).and_then(|directory| match directory.try_lock()? {
            Some(locked) => sweep(&locked),
            None => Ok(()),
        });
        match swept {
            Ok(()) => Ok(Self { path: Arc::new(path) }),
            Err(error) => Err(TokenError::config(
                "the directory for tokens cannot be used, give one that this user alone can write to",
            )
            .with_source(error)),
        }
    }

    /// Has the directory to itself while `change` is applied to the record of `key`. The record is written
    /// if `change` says that it has changed.
    async fn change(
        &self,
        key: &str,
        change: impl FnOnce(&mut Record, Moment) -> bool + Send + 'static,
    ) -> io::Result<bool> {
        let name = directory::name(key);
        let locked = self.lock_directory().await?;
        blocking(move || {
            let now = Moment::now();
            let mut record = locked.read(&name)?.map(|it| Record::parse(&it)).unwrap_or_default();
            let changed = change(&mut record, now);
            if changed {
                locked.replace(&name, &record.to_bytes())?;
            }
            Ok(changed)
        })
        .await
    }

    /// Asks again and again, as a thread that the system puts to sleep could not be woken when the caller
    /// has gone.
    async fn lock_directory(&self) -> io::Result<LockedDirectory> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = self.path.clone();
            if let Some(locked) = blocking(move || Directory::open(&path)?.try_lock()).await? {
                return Ok(locked);
            }
            if Instant::now() >= deadline {
                let text = "another process holds the lock of the directory for tokens, see whether it is stopped";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            sleep(Duration::from_micros(fastrand::u64(500..4_000))).await;
        }
    }
}

impl TokenStore for FileStore {
    type Error = io::Error;

    async fn load(&self, key: &str) -> io::Result<Option<StoreEntry>> {
        let (path, name) = (self.path.clone(), directory::name(key));
        blocking(move || {
            let record = Directory::open(&path)?.read(&name)?;
            Ok(record.and_then(|it| Record::parse(&it).entry(&Moment::now())))
        })
        .await
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> io::Result<bool> {
        let owner = owner.to_owned();
        self.change(key, move |record, now| record.lock(owner, lease, now)).await
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> io::Result<bool> {
        let owner = owner.to_owned();
        self.change(key, move |record, now| record.store(&owner, value, expires_in, now)).await
    }

    async fn unlock(&self, key: &str, owner: &str) -> io::Result<()> {
        let owner = owner.to_owned();
        self.change(key, move |record, now| record.unlock(&owner, &now)).await?;
        Ok(())
    }

    fn is_private(&self) -> bool {
        true
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish()
    }
}

/// Removes records of which nothing is good any more, and what a killed process was writing.
fn sweep(locked: &LockedDirectory) -> io::Result<()> {
    let now = Moment::now();
    locked.retain(|record| Record::parse(record).is_in_use(&now))
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    task::spawn_blocking(f).await.map_err(io::Error::other)?
}
