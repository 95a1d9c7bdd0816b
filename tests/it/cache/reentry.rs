//! Code of the user's that the cache runs may use that cache: none of it runs under the lock.

use std::{
    cell::Cell,
    fmt::{self, Write},
    pin::pin,
    sync::{Arc, OnceLock, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, SystemTime},
};

use tokio::runtime::{Builder, Runtime};
use tower_bearer::TokenCache;

use crate::support::*;

/// Fails on a deadlock.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    end.recv_timeout(Duration::from_secs(10)).expect("a deadlock, or a panic")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_wall_clock_may_use_the_cache() {
    thread_local!(static WITHIN: Cell<bool> = const { Cell::new(false) });
    ends(|| {
        let cell = Arc::new(OnceLock::<TokenCache>::new());
        let clock = cell.clone();
        let tokens = TokenCache::builder()
            .wall_clock(move || {
                if !WITHIN.replace(true) {
                    clock.get().map(TokenCache::peek);
                    WITHIN.set(false);
                }
                SystemTime::now()
            })
            .build(Issuer::of(seconds(300)));
        cell.set(tokens.clone()).unwrap();

        let token = runtime().block_on(tokens.token()).unwrap();
        tokens.reject(&token);
        // Without a runtime there is no other.
        assert!(matches!(poll_once(tokens.token()), Poll::Ready(Ok(_))));
        runtime().block_on(tokens.token()).unwrap();
    });
}

#[test]
fn what_debug_writes_to_may_use_the_cache() {
    struct Peeks(TokenCache);
    impl Write for Peeks {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            self.0.peek();
            Ok(())
        }
    }
    ends(|| {
        let tokens = TokenCache::new(Issuer::of(seconds(300)));
        runtime().block_on(tokens.token()).unwrap();
        write!(Peeks(tokens.clone()), "{tokens:?}").unwrap();
    });
}
