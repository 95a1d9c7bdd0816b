//! What was made for each key, and which of it goes when there is too much.

use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    mem, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hashbrown::HashTable;
use tokio::time::Instant;

use crate::{
    cache::{CommonBucket, TokenCache, remember},
    error::TokenError,
    striped::OwnLine,
};

/// How many caches a part has room for: few enough to be looked through for each key that is new, and as many
/// as a table of 32 takes.
const IN_A_PART: usize = 28;

pub(super) struct Slots<K> {
    capacity: usize,
    idle: Duration,
    hasher: RandomState,
    // So that threads with different keys seldom want the same lock.
    parts: Box<[OwnLine<RwLock<Part<K>>>]>,
    books: Mutex<Books>,
    bucket: CommonBucket,
}

type Part<K> = HashTable<Slot<K>>;

struct Slot<K> {
    key: K,
    made: Result<TokenCache, Box<NotMade>>,
    /// The key was asked for since the part was last looked through.
    is_used: AtomicBool,
    used: Instant,
}

struct NotMade {
    error: TokenError,
    in_a_row: u32,
    until: Instant,
}

/// Its lock is taken last.
struct Books {
    swept: Instant,
    /// Something has gone that would have been in trouble until then.
    crowded_until: Instant,
}

impl<K: Eq + Hash> Slots<K> {
    pub(super) fn new(capacity: usize, idle: Duration) -> Self {
        let parts = (0..capacity.div_ceil(IN_A_PART)).map(|_| OwnLine(RwLock::default())).collect();
        let now = Instant::now();
        Self {
            capacity,
            idle,
            hasher: RandomState::new(),
            parts,
            books: Mutex::new(Books { swept: now, crowded_until: now }),
            bucket: CommonBucket::default(),
        }
    }

    /// The cache for this key, or why there is none. `None` if it is to be made.
    #[inline]
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Result<TokenCache, TokenError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let found = self.find(key, |slot| match &slot.made {
            Ok(cache) => {
                // Written seldom, as other cores read it.
                if !slot.is_used.load(Relaxed) {
                    slot.is_used.store(true, Relaxed);
                }
                Some(Ok(cache.clone()))
            }
            Err(why) => why.remembered(Instant::now()).map(Err),
        })?;
        // Where no key is ever new, the idle ones have to be found as well.
        if fastrand::u8(..) == 0 {
            self.sweep(Instant::now());
        }
        found
    }

    /// As `get`, but that is no use, and makes nothing.
    pub(super) fn peek<Q>(&self, key: &Q) -> Option<TokenCache>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.find(key, |slot| slot.made.as_ref().ok().cloned())?
    }

    /// Keeps what was made for this key, unless there is a cache for it by now.
    pub(super) fn insert(
        &self,
        key: K,
        made: Result<TokenCache, TokenError>,
    ) -> Result<TokenCache, TokenError> {
        let (hash, now) = (self.hasher.hash_one(&key), Instant::now());
        // Dropped after the lock is released, as keys, fetchers and errors are the user's.
        let mut gone = Vec::new();
        let mut part = write(self.part(hash));
        let mut failures = 0;
        if let Ok(entry) = part.find_entry(hash, |slot| slot.key == key) {
            match &entry.get().made {
                Ok(earlier) => return Ok(earlier.clone()),
                Err(why) => failures = why.in_a_row,
            }
            gone.push(entry.remove().0);
        }
        for in_trouble in [true, false] {
            let more = usize::from(in_trouble == made.is_err());
            self.make_room(&mut part, in_trouble, more, now, &mut gone);
        }
        gone.extend(self.tidy(&mut part, now));
        let kept = made.clone().map_err(|error| Box::new(NotMade::new(error, failures, now)));
        let slot = Slot { key, made: kept, is_used: AtomicBool::new(false), used: now };
        part.insert_unique(hash, slot, |slot| self.hasher.hash_one(&slot.key));
        drop(part);
        let crowded_until = self.books().crowded_until;
        if let Some(cache) = made.as_ref().ok().filter(|_| now < crowded_until) {
            cache.draws_from(&self.bucket, crowded_until);
        }
        self.sweep(now);
        made
    }

    /// Leaves room in this part for so many more of those in trouble, or of the others.
    fn make_room(
        &self,
        part: &mut Part<K>,
        in_trouble: bool,
        more: usize,
        now: Instant,
        gone: &mut Vec<Slot<K>>,
    ) {
        let until = part.iter().map(|slot| (slot.in_trouble_until(now), slot));
        let mut such: Vec<_> = until.filter(|(until, _)| until.is_some() == in_trouble).collect();
        such.sort_by_key(|(until, slot)| (*until, slot.is_used.load(Relaxed), slot.used));
        such.truncate((such.len() + more).saturating_sub(self.capacity / self.parts.len()));
        let caches = such.iter().filter(|(_, slot)| slot.made.is_ok());
        if let Some(until) = caches.filter_map(|(until, _)| *until).max() {
            let mut books = self.books();
            books.crowded_until = books.crowded_until.max(until);
        }
        let such: Vec<_> = such.into_iter().map(|(_, slot)| ptr::from_ref(slot)).collect();
        gone.extend(part.extract_if(|slot| such.contains(&ptr::from_ref(slot))));
    }

    /// Takes what is idle out of all parts, unless that was done a while ago.
    fn sweep(&self, now: Instant) {
        let mut books = self.books();
        if now.saturating_duration_since(books.swept) < self.idle / 16 {
            return;
        }
        books.swept = now;
        drop(books);
        for part in &self.parts {
            let idle = self.tidy(&mut write(part), now);
            drop(idle);
        }
    }

    /// Notes which keys are used, and takes out what is idle.
    fn tidy(&self, part: &mut Part<K>, now: Instant) -> Vec<Slot<K>> {
        let idle = part.extract_if(|slot| {
            if mem::take(slot.is_used.get_mut()) {
                slot.used = now;
            }
            let idle = now.saturating_duration_since(slot.used);
            (slot.made.is_err() || idle > self.idle) && slot.in_trouble_until(now).is_none()
        });
        idle.collect()
    }

    #[inline]
    fn find<Q, T>(&self, key: &Q, with: impl FnOnce(&Slot<K>) -> T) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let part = self.part(hash).read().unwrap_or_else(PoisonError::into_inner);
        part.find(hash, |slot| slot.key.borrow() == key).map(with)
    }

    /// Chosen by bits in the middle, as the table has a use for the others.
    #[inline]
    fn part(&self, hash: u64) -> &RwLock<Part<K>> {
        let fraction = hash >> 16 & u64::from(u32::MAX);
        &self.parts[((fraction * self.parts.len() as u64) >> 32) as usize]
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table survives a panic of its keys' `Eq` or `Hash`, and nothing else of the user's runs under a lock.
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl<K> Slot<K> {
    fn in_trouble_until(&self, now: Instant) -> Option<Instant> {
        match &self.made {
            Ok(cache) => cache.in_trouble_until(now),
            Err(why) => Some(why.until).filter(|&until| now < until),
        }
    }
}

impl NotMade {
    fn new(error: TokenError, failures: u32, now: Instant) -> Self {
        let in_a_row = failures.saturating_add(1);
        let until = now + remember(&error, in_a_row, None);
        Self { error, in_a_row, until }
    }

    fn remembered(&self, now: Instant) -> Option<TokenError> {
        (now < self.until).then(|| self.error.clone().retry_in(self.until - now))
    }
}

impl<K> fmt::Debug for Slots<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCaches")
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
