//! What a program that watches gets to see, and that no secret is in it.
//!
//! A binary of its own, one test at a time: `tracing` decides once for all threads who is interested.

#![allow(dead_code, unreachable_pub, reason = "it uses a part of what tests have in common")]

#[path = "it/shared/faulty_store.rs"]
mod faulty_store;
#[path = "it/support.rs"]
mod support;

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::time::advance;
use tower::Layer;
use tower_bearer::{BearerAuthLayer, Shared, StoreEntry, TokenCache, TokenStore};
use tracing::Level;
use tracing_subscriber::{
    fmt::{MakeWriter, format::FmtSpan},
    layer::{self, SubscriberExt},
};

use faulty_store::{FaultyStore, StoreFault};
use support::*;

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Everything that was logged, at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self, text: &str) -> usize {
        self.text().lines().filter(|line| line.contains(text)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The last value or the sum of each metric, by name and labels.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<BTreeMap<String, f64>>>);

struct Cell(Metrics, String);

impl Metrics {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        Arc::new(Cell(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn value(&self, key: &str) -> f64 {
        self.0.lock().unwrap().get(key).copied().unwrap_or(0.0)
    }
}

impl Cell {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.0.0.lock().unwrap().entry(self.1.clone()).or_default());
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.change(|sum| *sum += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|sum| *sum = value as f64);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.change(|last| *last += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|last| *last -= value);
    }

    fn set(&self, value: f64) {
        self.change(|last| *last = value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.change(|sum| *sum += value);
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_span_for_each_fetch_however_many_wait() {
    let _alone = ALONE.lock().await;
    let (log, _guard) = Log::start();
    let issuer = Issuer::of(seconds(300)).latency(seconds(1));
    let cache = TokenCache::builder().name("orders").build(issuer.clone());
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.token().await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let text = log.text();
    let closed: Vec<_> = text.lines().filter(|line| line.contains("close")).collect();
    let [closed] = closed[..] else { panic!("{text}") };
    for field in ["cache=\"orders\"", "reason=\"empty\"", "outcome=\"token\"", "duration=1s"] {
        assert!(closed.contains(field), "{closed}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_rejection_and_each_reason_for_not_replaying_is_an_event() {
    let _alone = ALONE.lock().await;
    let (log, _guard) = Log::start();
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::new(issuer.clone());
    let mut good = BearerAuthLayer::new(cache.clone()).layer(Api::of(&issuer));
    let mut once = BearerAuthLayer::new(cache.clone()).no_replay().layer(Api::of(&issuer));
    let uri = "https://api.example.com/";
    send(&mut good, get(uri)).await.unwrap();
    issuer.revoke("t1");
    send(&mut good, get(uri)).await.unwrap();
    assert_eq!(log.lines("the request is sent once more"), 1);
    issuer.revoke("t2");
    send(&mut once, get(uri)).await.unwrap();
    assert_eq!(log.lines("reason=\"body\""), 1);
    issuer.trouble(Trouble::Down);
    send(&mut good, get(uri)).await.unwrap();
    assert_eq!(log.lines("reason=\"no_token\""), 1);
    assert!(log.lines("no token error=") >= 1, "{}", log.text());
    issuer.trouble(None);
    advance(seconds(20)).await;
    let mut bad = BearerAuthLayer::new(cache).layer(Api::of(&issuer).rejecting_everything());
    for _ in 0..3 {
        send(&mut bad, get("https://bad.example.com/")).await.unwrap();
    }
    assert!(log.lines("reason=\"cooldown\"") >= 1, "{}", log.text());
    assert!(log.lines("new token rejected too") >= 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_logged_at_any_level() {
    let _alone = ALONE.lock().await;
    let (log, _guard) = Log::start();
    let issuer = Issuer::of(seconds(300));
    let cache = TokenCache::new(issuer.clone());
    let mut client = BearerAuthLayer::new(cache).layer(Api::of(&issuer));
    for trouble in [None, Some(Trouble::Down), Some(Trouble::Refuses), None] {
        issuer.trouble(trouble);
        for _ in 0..5 {
            let _ = send(&mut client, get("https://api.example.com/?token-query")).await;
            advance(seconds(61)).await;
        }
        issuer.revoke_all();
    }
    let text = log.text();
    assert!(text.contains("token_fetch"));
    for n in 1..20 {
        assert!(!text.contains(&format!("t{n} ")) && !text.contains(&format!("\"t{n}\"")));
    }
    assert!(!text.contains("Bearer") && !text.contains("token-query"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn fetches_rejections_and_kept_tokens_are_counted() {
    let _alone = ALONE.lock().await;
    let metrics = Metrics::default();
    let _guard = metrics::set_default_local_recorder(&metrics);
    let issuer = Issuer::of(seconds(300)).latency(Duration::from_millis(500));
    let cache = TokenCache::builder().name("orders").build(issuer.clone());
    let mut client = BearerAuthLayer::new(cache).layer(Api::of(&issuer));
    let uri = "https://api.example.com/";
    send(&mut client, get(uri)).await.unwrap();
    issuer.revoke("t1");
    send(&mut client, get(uri)).await.unwrap();
    issuer.trouble(Trouble::Down);
    advance(seconds(275)).await;
    send(&mut client, get(uri)).await.unwrap();
    send(&mut client, get(uri)).await.unwrap();

    let fetches = "tower_bearer_fetches_total{cache=orders,reason=";
    assert_eq!(metrics.value(&format!("{fetches}empty,outcome=token}}")), 1.0);
    assert_eq!(metrics.value(&format!("{fetches}rejected,outcome=token}}")), 1.0);
    assert_eq!(metrics.value(&format!("{fetches}expired,outcome=transient}}")), 1.0);
    let durations = "tower_bearer_fetch_duration_seconds{cache=orders,reason=";
    assert_eq!(metrics.value(&format!("{durations}empty,outcome=token}}")), 0.5);
    let rejections = "tower_bearer_rejections_total{cache=orders,action=";
    assert_eq!(metrics.value(&format!("{rejections}replayed}}")), 1.0);
    assert_eq!(metrics.value("tower_bearer_kept_token_uses_total{cache=orders}"), 2.0);
    let left = metrics.value("tower_bearer_token_expires_in_seconds{cache=orders}");
    assert!((24.0..26.0).contains(&left), "{left}");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_token_that_is_kept_fresh_is_measured() {
    let _alone = ALONE.lock().await;
    let metrics = Metrics::default();
    let _guard = metrics::set_default_local_recorder(&metrics);
    let issuer = Issuer::of(seconds(3600));
    let cache = TokenCache::builder().name("orders").keep_fresh().build(issuer.clone());
    cache.token().await.unwrap();
    for _ in 0..200 {
        tokio::time::sleep(seconds(61)).await;
        let left = metrics.value("tower_bearer_token_expires_in_seconds{cache=orders}");
        let now = cache.status().expires_in().unwrap().as_secs_f64();
        assert!((now..now + 61.0).contains(&left), "{left}, and now {now}");
    }
    assert!(issuer.fetches() > 3);
}

#[tokio::test(start_paused = true)]
async fn store_operations_ignored_entries_and_origins_are_counted() {
    let _alone = ALONE.lock().await;
    let metrics = Metrics::default();
    let _guard = metrics::set_default_local_recorder(&metrics);
    let (issuer, store) = (Issuer::of(seconds(300)).latency(seconds(2)), FaultyStore::default());
    let replica = || {
        let shared = Shared::new(issuer.clone(), store.clone()).name("orders");
        TokenCache::builder().name("orders").build(shared)
    };
    replica().token().await.unwrap();
    replica().token().await.unwrap();
    for (answer, reason) in [
        (vec![1; 70_000], "too_large"),
        (vec![9], "version"),
        (vec![2, 0], "unopened"),
        (vec![1, 0], "malformed"),
    ] {
        store.fault(StoreFault::Answer(answer.into()));
        replica().token().await.unwrap();
        let ignored =
            format!("tower_bearer_store_entries_ignored_total{{cache=orders,reason={reason}}}");
        assert_eq!(metrics.value(&ignored), 2.0, "{reason}");
    }
    store.fault(StoreFault::Error);
    replica().token().await.unwrap();
    store.fault(StoreFault::Hang);
    replica().token().await.unwrap();
    store.fault(StoreFault::Panic);
    replica().token().await.unwrap();

    let operations = "tower_bearer_store_operations_total{cache=orders,operation=";
    for (operation, count) in [
        ("load,outcome=ok", 2.0 + 1.0 + 4.0 * 2.0),
        ("lock,outcome=ok", 5.0),
        ("prolong,outcome=ok", 5.0),
        ("store,outcome=ok", 5.0),
        ("load,outcome=error", 1.0),
        ("load,outcome=timeout", 1.0),
        ("load,outcome=panic", 1.0),
    ] {
        assert_eq!(metrics.value(&format!("{operations}{operation}}}")), count, "{operation}");
    }
    let tokens = "tower_bearer_store_tokens_total{cache=orders,origin=";
    assert_eq!(metrics.value(&format!("{tokens}store}}")), 1.0);
    assert_eq!(metrics.value(&format!("{tokens}issuer}}")), 8.0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_warned_of_once_a_minute() {
    let _alone = ALONE.lock().await;
    let (log, _guard) = Log::start();
    let (issuer, store) = (Issuer::of(seconds(20)), FaultyStore::default());
    store.fault(StoreFault::Error);
    let shared = Shared::new(issuer.clone(), store.clone()).name("orders");
    let cache = TokenCache::builder().name("orders").build(shared);
    for second in 0..600 {
        cache.token().await.unwrap();
        let warned = log.lines("the store of shared tokens fails");
        assert!(warned <= 1 + second / 60, "{warned} warnings in {second} s");
        tokio::time::sleep(seconds(1)).await;
    }
    let warned = log.lines("the store of shared tokens fails");
    assert!(warned >= 8, "{warned} warnings in ten minutes");
    assert_eq!(log.lines("operation=\"load\" error=\"the store is down"), warned, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_repeats_a_token_in_its_error_has_it_in_no_log() {
    struct Repeats;
    impl TokenStore for Repeats {
        type Error = String;
        async fn load(&self, _: &str) -> Result<Option<StoreEntry>, String> {
            Ok(None)
        }
        async fn lock(&self, _: &str, _: &str, _: Duration) -> Result<bool, String> {
            Ok(true)
        }
        async fn store(&self, _: &str, _: &str, value: Bytes, _: Duration) -> Result<bool, String> {
            Err(format!("unknown command with args {}", String::from_utf8_lossy(&value)))
        }
        async fn unlock(&self, _: &str, _: &str) -> Result<(), String> {
            Ok(())
        }
    }
    let _alone = ALONE.lock().await;
    let (log, _guard) = Log::start();
    let issuer = Issuer::of(seconds(20));
    issuer.lock().number_from(1_234_566);
    let cache = TokenCache::new(Shared::new(issuer, Repeats).name("orders").unsealed());
    assert_eq!(cache.token().await.unwrap().expose(), "t1234567");
    assert_eq!(log.lines("it repeats a secret"), 1, "{}", log.text());
    assert!(!log.text().contains("t1234567"), "{}", log.text());
}

/// An exporter of metrics or logs may need a token of its own.
#[tokio::test(start_paused = true)]
async fn who_is_told_may_use_the_cache() {
    struct Peeks(TokenCache);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Peeks {
        fn on_event(&self, _: &tracing::Event<'_>, _: layer::Context<'_, S>) {
            self.0.peek().unwrap();
        }
    }
    let _alone = ALONE.lock().await;
    let tokens = TokenCache::new(Issuer::of(seconds(300)));
    let token = tokens.token().await.unwrap();
    tokens.reject(&token);
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let peeks = tracing_subscriber::registry().with(Peeks(tokens.clone()));
        let _guard = tracing::subscriber::set_default(peeks);
        // Without a runtime the refused token is kept, which is told.
        done.send(tokio_test::task::spawn(tokens.token()).poll().is_ready())
    });
    assert!(end.recv_timeout(Duration::from_secs(10)).expect("a deadlock, or a panic"));
}
