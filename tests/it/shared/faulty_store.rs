//! A store in memory that a test makes fail.

#![allow(dead_code, unreachable_pub, reason = "tests and benches use different parts of it")]

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tower_bearer::{BoxError, StoreEntry, TokenStore, testing::MemoryStore};

/// Clones are the same store.
#[derive(Clone, Default)]
pub struct FaultyStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    memory: MemoryStore,
    fault: Option<StoreFault>,
    latency: Duration,
    operations: usize,
    /// Who has got the lock of a key last.
    holders: BTreeMap<String, String>,
}

/// What goes wrong with each operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It returns an error, and changes nothing.
    Error,
    /// It never returns, and changes nothing.
    Hang,
    /// It changes what it is to change, and never returns.
    HangAfter,
    Panic,
    /// What changes something returns an error. Loading works.
    ReadOnly,
    /// What stores something says that it has, and has not. The lock is let go.
    DropWrites,
    /// Nobody gets the lock.
    RefuseLocks,
    /// Everybody gets the lock, and whatever is stored is stored.
    GrantAllLocks,
    /// Loading returns these bytes, which are there for an hour.
    Answer(Bytes),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

impl FaultyStore {
    pub fn over(memory: MemoryStore) -> Self {
        let store = Self::default();
        store.state().memory = memory;
        store
    }

    /// Each operation goes wrong in this way, until it [works normally](Self::work_normally).
    pub fn fault(&self, fault: StoreFault) {
        self.state().fault = Some(fault);
    }

    pub fn work_normally(&self) {
        self.state().fault = None;
    }

    /// How long each operation takes. It takes effect at its end.
    pub fn latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Loses all entries and locks.
    pub fn evict(&self) {
        let mut state = self.state();
        let emptied = MemoryStore::new();
        state.memory = if state.memory.is_private() { emptied } else { emptied.public() };
    }

    /// The entries that have not expired, by their key.
    pub fn entries(&self) -> Vec<(String, Bytes)> {
        let state = self.state();
        let entries = state.holders.keys().filter_map(|key| {
            let loading = pin!(state.memory.load(key));
            match loading.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(entry)) => Some((key.clone(), entry?.value)),
                Poll::Pending => unreachable!("the memory does not make anybody wait"),
            }
        });
        entries.collect()
    }

    /// How many operations were begun so far.
    pub fn operations(&self) -> usize {
        self.state().operations
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault under which the operation goes on, and what it works on.
    async fn begin(&self, kind: Kind) -> Result<(Option<StoreFault>, MemoryStore), BoxError> {
        let (fault, latency) = {
            let mut state = self.state();
            state.operations += 1;
            (state.fault.clone(), state.latency)
        };
        // A sleep of zero would still wait for the next tick of the timer.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match fault {
            Some(StoreFault::Error) => return Err("the store is down".into()),
            Some(StoreFault::Hang) => std::future::pending().await,
            // It is a panic all the same, but prints nothing.
            Some(StoreFault::Panic) => std::panic::resume_unwind(Box::new("a bug in the store")),
            Some(StoreFault::ReadOnly) if kind == Kind::Write => {
                return Err("the store is down".into());
            }
            _ => {}
        }
        Ok((fault, self.state().memory.clone()))
    }

    /// Takes the lock from whoever has it.
    async fn seize(&self, memory: &MemoryStore, key: &str, owner: &str, lease: Duration) {
        let holder = self.state().holders.get(key).cloned();
        let Ok(()) = memory.unlock(key, holder.as_deref().unwrap_or_default()).await;
        let Ok(_) = memory.lock(key, owner, lease).await;
    }
}

async fn end<T>(fault: Option<StoreFault>, outcome: T) -> Result<T, BoxError> {
    match fault {
        Some(StoreFault::HangAfter) => std::future::pending().await,
        _ => Ok(outcome),
    }
}

impl TokenStore for FaultyStore {
    type Error = BoxError;

    async fn load(&self, key: &str) -> Result<Option<StoreEntry>, BoxError> {
        let (fault, memory) = self.begin(Kind::Read).await?;
        let entry = match &fault {
            Some(StoreFault::Answer(value)) => {
                Some(StoreEntry::new(value.clone(), Duration::from_secs(3600)))
            }
            _ => memory.load(key).await?,
        };
        end(fault, entry).await
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> Result<bool, BoxError> {
        let (fault, memory) = self.begin(Kind::Write).await?;
        match fault {
            Some(StoreFault::RefuseLocks) => return Ok(false),
            Some(StoreFault::GrantAllLocks) => self.seize(&memory, key, owner, lease).await,
            _ => {}
        }
        let is_ours = memory.lock(key, owner, lease).await?;
        if is_ours {
            self.state().holders.insert(key.to_owned(), owner.to_owned());
        }
        end(fault, is_ours).await
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> Result<bool, BoxError> {
        let (fault, memory) = self.begin(Kind::Write).await?;
        let is_ours = match fault {
            Some(StoreFault::DropWrites) => {
                let older = memory.load(key).await?;
                let (value, left) =
                    older.map_or_else(Default::default, |entry| (entry.value, entry.expires_in));
                memory.store(key, owner, value, left).await?
            }
            Some(StoreFault::GrantAllLocks) => {
                self.seize(&memory, key, owner, Duration::from_secs(1)).await;
                memory.store(key, owner, value, expires_in).await?
            }
            _ => memory.store(key, owner, value, expires_in).await?,
        };
        end(fault, is_ours).await
    }

    async fn unlock(&self, key: &str, owner: &str) -> Result<(), BoxError> {
        let (fault, memory) = self.begin(Kind::Write).await?;
        memory.unlock(key, owner).await?;
        end(fault, ()).await
    }

    fn is_private(&self) -> bool {
        self.state().memory.is_private()
    }
}
