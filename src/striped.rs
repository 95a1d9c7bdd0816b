//! Copies of one value for the threads that use it at once.
//!
//! A reference count that two cores write to moves from one core's cache to the other's and back. So
//! what every request clones is kept in several copies, and a thread always clones the same one.

use std::{
    cell::Cell,
    fmt,
    ops::Deref,
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

const FEWEST: usize = 8;
const MOST: usize = 32;

/// Twice as many as there are cores, so that two busy threads seldom have the same.
static STRIPES: LazyLock<usize> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    (2 * cores).next_power_of_two().clamp(FEWEST, MOST)
});

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A number of this thread's own, counted from the first thread that asked.
#[inline]
fn thread() -> usize {
    #[cold]
    fn first() -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        let thread = THREADS.fetch_add(1, Ordering::Relaxed);
        THREAD.set(Some(thread));
        thread
    }
    THREAD.get().unwrap_or_else(first)
}

/// One copy for each of a few groups of threads. A copy is made when it is first asked for, and so is the room
/// for all of them.
pub(crate) struct Striped<T> {
    // Their number is a power of two. Once made they are only read.
    copies: OnceLock<Box<[OnceLock<T>]>>,
}

impl<T> Striped<T> {
    pub(crate) fn new() -> Self {
        Self { copies: OnceLock::new() }
    }

    /// This thread's copy.
    #[inline]
    pub(crate) fn get_or_init(&self, copy: impl FnOnce() -> T) -> &T {
        let copies = self.copies.get_or_init(|| (0..*STRIPES).map(|_| OnceLock::new()).collect());
        copies[thread() & (copies.len() - 1)].get_or_init(copy)
    }
}

/// The clone makes copies of its own.
impl<T> Clone for Striped<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Striped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Striped").finish_non_exhaustive()
    }
}

/// Keeps a reference count that stands before it, or after it, on a cache line of its own. Two lines,
/// as processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct OwnLine<T>(pub(crate) T);

impl<T> Deref for OwnLine<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl AsRef<[u8]> for OwnLine<Box<[u8]>> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Barrier, thread};

    use super::*;

    #[test]
    fn a_thread_has_the_same_copy_each_time() {
        let striped = Striped::new();
        let first: *const u64 = striped.get_or_init(|| 1);
        assert_eq!(first, striped.get_or_init(|| 2));
        assert_eq!(*striped.get_or_init(|| 3), 1);
    }

    #[test]
    fn threads_spread_over_all_copies() {
        let striped = Striped::new();
        // Other tests number threads at the same time, so there are more than copies.
        let threads = 8 * *STRIPES;
        let together = Barrier::new(threads);
        let copies: HashSet<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        std::ptr::from_ref(striped.get_or_init(|| 0_u64)).addr()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(copies.len() > *STRIPES / 2, "{} copies", copies.len());
    }
}
