//! `TokenCaches` against a naive model: whatever happens in whatever order.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, advance};
use tower_bearer::{TokenCaches, TokenError};

use super::NamedIssuer;
use crate::support::*;

const KEYS: u32 = 12;
const IDLE: Duration = Duration::from_secs(60);
/// No failure and no cooldown lasts longer.
const TROUBLE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
enum Step {
    /// A request with the token of this key.
    Get(u32),
    /// So many keys that nobody has asked for before.
    Others(u32),
    Wait(u64),
    Down(u32, bool),
    /// A request whose token is refused, which asks for another.
    Reject(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS).prop_map(Step::Get),
        2 => (1..30u32).prop_map(Step::Others),
        2 => (0..40_000u64).prop_map(Step::Wait),
        1 => ((0..KEYS), any::<bool>()).prop_map(|(key, is_down)| Step::Down(key, is_down)),
        2 => (0..KEYS).prop_map(Step::Reject),
    ]
}

/// What the model knows of a key.
struct Known {
    issuer: NamedIssuer,
    is_down: bool,
    /// The last token that it was seen to have, which nobody has refused since.
    token: Option<String>,
    /// The last token that was refused. It serves on while no other can be had, and is then replaced at any time.
    refused: Option<String>,
    used: Instant,
    /// How many caches had been made before it was last used.
    made: usize,
    failed: Option<Instant>,
    /// When it last had a failure, or a token that was refused.
    troubled: Option<Instant>,
}

async fn follow(steps: Vec<Step>, capacity: usize) {
    let issuers: Arc<Mutex<HashMap<u32, NamedIssuer>>> = Arc::default();
    let made = Arc::new(AtomicUsize::new(0));
    let caches = TokenCaches::builder().capacity(capacity).idle(IDLE).build({
        let (issuers, made) = (issuers.clone(), made.clone());
        move |&key: &u32| {
            made.fetch_add(1, Relaxed);
            let mut issuers = issuers.lock().unwrap();
            let issuer = issuers.entry(key).or_insert_with(|| NamedIssuer::new(&format!("k{key}")));
            Ok::<_, TokenError>(issuer.clone())
        }
    });
    let mut known: HashMap<u32, Known> = (0..KEYS)
        .map(|key| {
            let issuer = NamedIssuer::new(&format!("k{key}"));
            issuers.lock().unwrap().insert(key, issuer.clone());
            let used = Instant::now();
            let (token, refused, failed, troubled) = (None, None, None, None);
            let made = 0;
            (key, Known { issuer, is_down: false, token, refused, used, made, failed, troubled })
        })
        .collect();
    let mut other = KEYS;

    for step in steps {
        match step {
            Step::Wait(millis) => advance(Duration::from_millis(millis)).await,
            Step::Down(key, is_down) => {
                let key = known.get_mut(&key).unwrap();
                key.is_down = is_down;
                key.issuer.is_down(is_down);
            }
            Step::Others(count) => {
                for _ in 0..count {
                    let _ = caches.get(&other).unwrap();
                    other += 1;
                }
            }
            Step::Get(key) | Step::Reject(key) => {
                let made_before = made.load(Relaxed);
                let cache = caches.get(&key).unwrap();
                let before = known[&key].issuer.asked();
                let token = cache.token().await.map(|token| token.expose().to_owned());
                let now = Instant::now();
                // With more of them in trouble than are kept, that of one may be forgotten.
                let is_troubled = |key: &&Known| key.troubled.is_some_and(|at| now < at + TROUBLE);
                let is_calm = known.values().filter(is_troubled).count() <= capacity;
                let asked = known[&key].issuer.asked() - before;
                let key = known.get_mut(&key).unwrap();
                assert!(asked <= 1, "one token request for one call");

                // A failure of less than a second ago is the answer, whatever was evicted since.
                let has_failed = key.failed.is_some_and(|at| now < at + seconds(1));
                if is_calm && has_failed && key.token.is_none() {
                    assert!(token.is_err() && asked == 0, "asked again after a failure");
                }
                match &token {
                    Ok(token) => assert!(key.issuer.accepts(token), "{token} of another"),
                    Err(error) => assert!(error.is_transient()),
                }
                // Neither idle nor evicted: the token is the one that it was.
                // Where there is no room, a cache may be evicted by its own insertion.
                let is_roomy = capacity > KEYS as usize * 3 && made.load(Relaxed) <= 30;
                let kept = now < key.used + IDLE && (is_roomy || key.made == made_before);
                if kept && key.token.is_some() && key.token != key.refused {
                    assert_eq!(token.as_ref().ok(), key.token.as_ref());
                    assert_eq!(asked, 0);
                }
                if token.is_err() && asked == 1 {
                    (key.failed, key.troubled) = (Some(now), Some(now));
                }
                key.token = token.ok();
                key.used = now;
                key.made = made_before;
                if let Step::Reject(_) = step {
                    if let Some(token) = cache.peek() {
                        cache.reject(&token);
                        key.refused = Some(token.expose().to_owned());
                        key.token = None;
                        key.failed = None;
                        key.troubled = Some(now);
                    }
                }
            }
        }
        let kept = (0..other).filter(|key| caches.peek(key).is_some()).count();
        assert!(kept <= 2 * capacity, "{kept} of {capacity}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn caches_for_keys_behave_as_the_model_whatever_the_order(
        steps in vec(step(), 1..60),
        capacity in prop_oneof![Just(1usize), Just(8), Just(200)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(follow(steps, capacity));
    }
}
