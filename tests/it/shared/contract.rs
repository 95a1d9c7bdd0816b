//! What a [`TokenStore`] promises. Each store runs this, with time that is paused or not.

use std::{fmt::Debug, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_bearer::TokenStore;

/// So long that it does not end during a test.
const LONG: Duration = Duration::from_secs(3600);
/// So short that a test can wait for its end.
const SHORT: Duration = Duration::from_millis(200);
/// What the clocks of a test and a store may differ by, in so short a time.
const ROUNDING: Duration = Duration::from_millis(5);

pub async fn contract<S: TokenStore<Error: Debug + Send>>(store: S) {
    let store = Arc::new(Contract { run: fastrand::u64(..), store });
    store.an_entry_is_there_until_its_time_is_up().await;
    store.a_new_entry_takes_the_place_of_the_old_one_and_its_time().await;
    store.an_entry_without_time_is_not_there().await;
    store.a_lock_excludes_others_until_its_owner_lets_go().await;
    store.a_lock_ends_by_itself().await;
    store.an_owner_prolongs_and_shortens_its_lock().await;
    store.without_the_lock_nothing_is_stored().await;
    store.to_store_lets_the_lock_go().await;
    store.a_late_holder_changes_nothing().await;
    store.keys_do_not_mix().await;
    store.any_bytes_can_be_stored().await;
    store.times_may_be_as_long_as_they_like().await;
    store.of_many_at_once_one_gets_the_lock().await;
    store.a_dropped_operation_leaves_the_store_usable().await;
}

struct Contract<S> {
    /// Tells the keys of one run from those of the next.
    run: u64,
    store: S,
}

impl<S: TokenStore<Error: Debug + Send>> Contract<S> {
    async fn an_entry_is_there_until_its_time_is_up(&self) {
        let key = self.key("entry");
        assert!(self.value(&key).await.is_none());
        let begun = Instant::now();
        self.put(&key, "first", SHORT).await;
        let mut left = SHORT;
        while let Some(entry) = self.store.load(&key).await.unwrap() {
            assert_eq!(entry.value, "first");
            assert!(entry.expires_in <= left, "{:?} after {left:?}", entry.expires_in);
            left = entry.expires_in;
            assert!(begun.elapsed() < 10 * SHORT, "it is still there");
            sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() + ROUNDING >= SHORT, "gone after {:?}", begun.elapsed());
    }

    async fn a_new_entry_takes_the_place_of_the_old_one_and_its_time(&self) {
        let (key, control) = (self.key("newer"), self.key("newer-control"));
        self.put(&key, "first", SHORT).await;
        self.put(&key, "second", LONG).await;
        self.put(&control, "first", SHORT).await;
        self.until(async || self.value(&control).await.is_none()).await;
        let entry = self.store.load(&key).await.unwrap().unwrap();
        assert_eq!(entry.value, "second");
        assert!(entry.expires_in <= LONG && entry.expires_in > LONG / 2);

        self.put(&key, "third", SHORT).await;
        self.until(async || self.value(&key).await.is_none()).await;
    }

    async fn an_entry_without_time_is_not_there(&self) {
        let key = self.key("no-time");
        self.put(&key, "old", LONG).await;
        self.put(&key, "new", Duration::ZERO).await;
        assert_eq!(self.value(&key).await, None);
    }

    async fn a_lock_excludes_others_until_its_owner_lets_go(&self) {
        let key = self.key("lock");
        assert!(self.lock(&key, "a", LONG).await);
        assert!(!self.lock(&key, "b", LONG).await);
        self.unlock(&key, "b").await;
        assert!(!self.lock(&key, "b", LONG).await, "another's lock was let go");
        self.unlock(&key, "a").await;
        assert!(self.lock(&key, "b", LONG).await);
        assert!(!self.lock(&key, "a", LONG).await);
    }

    async fn a_lock_ends_by_itself(&self) {
        let key = self.key("lease");
        let begun = Instant::now();
        assert!(self.lock(&key, "a", SHORT).await);
        self.until(async || self.lock(&key, "b", LONG).await).await;
        assert!(begun.elapsed() + ROUNDING >= SHORT, "free after {:?}", begun.elapsed());

        let key = self.key("shortest");
        assert!(self.lock(&key, "a", Duration::from_nanos(1)).await);
        self.until(async || self.lock(&key, "b", LONG).await).await;
    }

    async fn an_owner_prolongs_and_shortens_its_lock(&self) {
        let (key, control) = (self.key("prolonged"), self.key("prolonged-control"));
        assert!(self.lock(&key, "a", SHORT).await);
        assert!(self.lock(&key, "a", LONG).await);
        assert!(self.lock(&control, "a", SHORT).await);
        self.until(async || self.lock(&control, "b", LONG).await).await;
        assert!(!self.lock(&key, "b", LONG).await, "the first lease was what counted");

        assert!(self.lock(&key, "a", SHORT).await);
        self.until(async || self.lock(&key, "b", LONG).await).await;
    }

    async fn without_the_lock_nothing_is_stored(&self) {
        let key = self.key("no-lock");
        assert!(!self.store(&key, "a", "value", LONG).await);
        assert!(self.lock(&key, "a", LONG).await);
        assert!(!self.store(&key, "b", "value", LONG).await);
        assert_eq!(self.value(&key).await, None);
        assert!(!self.lock(&key, "b", LONG).await, "the lock of another was let go");
        assert!(self.store(&key, "a", "value", LONG).await);
    }

    async fn to_store_lets_the_lock_go(&self) {
        let key = self.key("let-go");
        self.put(&key, "first", LONG).await;
        assert!(!self.store(&key, "a", "second", LONG).await, "it has no lock any more");
        assert!(self.lock(&key, "b", LONG).await);
        assert_eq!(self.value(&key).await.unwrap(), "first", "a lock is not an entry");
        self.unlock(&key, "b").await;
        assert_eq!(self.value(&key).await.unwrap(), "first");
    }

    async fn a_late_holder_changes_nothing(&self) {
        let key = self.key("late");
        assert!(self.lock(&key, "late", SHORT).await);
        self.until(async || self.lock(&key, "next", LONG).await).await;
        assert!(!self.store(&key, "late", "old", LONG).await);
        self.unlock(&key, "late").await;
        assert!(!self.lock(&key, "late", LONG).await, "the lock is the next one's");
        assert!(self.store(&key, "next", "new", LONG).await);
        assert!(!self.store(&key, "late", "old", LONG).await);
        assert_eq!(self.value(&key).await.unwrap(), "new");

        // Also where nobody has come after it.
        let (key, control) = (self.key("late-alone"), self.key("late-control"));
        assert!(self.lock(&key, "late", SHORT).await);
        assert!(self.lock(&control, "late", SHORT).await);
        self.until(async || self.lock(&control, "next", LONG).await).await;
        assert!(!self.store(&key, "late", "old", LONG).await);
        assert_eq!(self.value(&key).await, None);
    }

    async fn keys_do_not_mix(&self) {
        let name = |tail: &str| self.key(&format!("mix{tail}"));
        let mut keys =
            ["", "a", "A", "b", "a:a", "a:lock", "a-lock", "a:token", "a-"].map(name).to_vec();
        let longest = name("");
        keys.push(format!("{longest}{}", "k".repeat(128 - longest.len())));
        let owner = "o".repeat(128);
        for key in &keys {
            assert_eq!(self.value(key).await, None, "{key}");
            assert!(self.lock(key, &owner, LONG).await, "{key}");
        }
        for key in &keys {
            assert!(self.store(key, &owner, key.clone(), LONG).await, "{key}");
            assert!(self.lock(key, &owner, LONG).await, "{key}");
        }
        self.unlock(&keys[1], &owner).await;
        for key in &keys {
            assert_eq!(self.value(key).await.unwrap(), *key);
            assert_eq!(self.lock(key, "b", LONG).await, *key == keys[1], "{key}");
        }
    }

    async fn any_bytes_can_be_stored(&self) {
        let key = self.key("bytes");
        let every = (0..=255).collect::<Vec<u8>>();
        let large = every.repeat(256);
        assert_eq!(large.len(), 64 * 1024);
        for value in [every, large, b"\r\n\0{\"a\n".to_vec(), Vec::new()] {
            self.put(&key, value.clone(), LONG).await;
            assert_eq!(self.value(&key).await.unwrap(), value);
        }
    }

    async fn times_may_be_as_long_as_they_like(&self) {
        for (name, ever) in
            [("ever", Duration::MAX), ("signed", Duration::from_millis(i64::MAX as u64))]
        {
            let key = self.key(name);
            assert!(self.lock(&key, "a", ever).await);
            assert!(!self.lock(&key, "b", LONG).await);
            assert!(self.store(&key, "a", "value", ever).await);
            assert!(self.store.load(&key).await.unwrap().unwrap().expires_in > LONG);
        }
    }

    async fn of_many_at_once_one_gets_the_lock(self: &Arc<Self>) {
        let key = self.key("many");
        for round in 0..3 {
            let mut lockers = JoinSet::new();
            for n in 0..50 {
                let (store, key) = (self.clone(), key.clone());
                lockers.spawn(async move {
                    let owner = format!("{round}-{n}");
                    store.lock(&key, &owner, LONG).await.then_some(owner)
                });
            }
            let winners = lockers.join_all().await.into_iter().flatten().collect::<Vec<_>>();
            assert_eq!(winners.len(), 1, "{winners:?}");
            assert!(self.store(&key, &winners[0], format!("value {round}"), LONG).await);
        }
    }

    async fn a_dropped_operation_leaves_the_store_usable(&self) {
        let key = self.key("dropped");
        for patience in [0, 50, 200, 1_000, 5_000].map(Duration::from_micros) {
            let _ = timeout(patience, self.store.lock(&key, "a", LONG)).await;
            let _ = timeout(patience, self.store.store(&key, "a", "value".into(), LONG)).await;
            let _ = timeout(patience, self.store.load(&key)).await;
            let _ = timeout(patience, self.store.unlock(&key, "a")).await;
        }
        // What was dropped may take effect now.
        self.until(async || self.lock(&key, "b", LONG).await || !self.lock(&key, "a", LONG).await)
            .await;
        let key = self.key("after-dropped");
        self.put(&key, "value", LONG).await;
        assert_eq!(self.value(&key).await.unwrap(), "value");
    }

    fn key(&self, name: &str) -> String {
        format!("{:016x}:{name}", self.run)
    }

    async fn put(&self, key: &str, value: impl Into<Bytes>, expires_in: Duration) {
        assert!(self.lock(key, "put", LONG).await);
        assert!(self.store(key, "put", value, expires_in).await);
    }

    async fn value(&self, key: &str) -> Option<Bytes> {
        self.store.load(key).await.unwrap().map(|entry| entry.value)
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> bool {
        self.store.lock(key, owner, lease).await.unwrap()
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: impl Into<Bytes>,
        expires_in: Duration,
    ) -> bool {
        self.store.store(key, owner, value.into(), expires_in).await.unwrap()
    }

    async fn unlock(&self, key: &str, owner: &str) {
        self.store.unlock(key, owner).await.unwrap();
    }

    async fn until(&self, mut done: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + 25 * SHORT;
        while !done().await {
            assert!(Instant::now() < deadline, "it has not happened");
            sleep(Duration::from_millis(5)).await;
        }
    }
}
