//! How tokens lie in a store that others can read.

use std::{convert::Infallible, fs};

use base64::{Engine, prelude::*};
use bytes::Bytes;
use tower_bearer::{Secret, Shared, TokenCache, TokenError, testing::MemoryStore};

use super::faulty_store::{FaultyStore, StoreFault};
use super::support::Fleet;
use crate::support::{Issuer, seconds};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [0xfb; 32];

fn fleet() -> Fleet {
    Fleet::over(Issuer::of(seconds(300)), FaultyStore::over(MemoryStore::new().public()))
}

fn text(key: [u8; 32]) -> Secret {
    BASE64_STANDARD.encode(key).into()
}

fn sealed(fleet: &Fleet, keys: &[[u8; 32]]) -> TokenCache {
    TokenCache::new(fleet.shared().seal(keys.iter().copied().map(text)))
}

async fn token(cache: &TokenCache) -> String {
    cache.token().await.unwrap().expose().to_owned()
}

async fn error(shared: Shared<Issuer, FaultyStore>) -> TokenError {
    TokenCache::new(shared).token().await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_public_store_wants_a_key_or_to_be_unsealed_explicitly() {
    let error = error(fleet().shared()).await;
    let text = error.to_string();
    assert!(error.is_config() && text.contains("`Shared::seal`"), "{text}");
    assert!(text.contains("`Shared::unsealed`"), "{text}");

    let fleet = fleet();
    token(&TokenCache::new(fleet.shared().unsealed())).await;
    assert_eq!(fleet.store.entries().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sealed_token_is_shared_and_cannot_be_read_in_the_store() {
    let fleet = fleet();
    fleet.issuer.lock().number_from(1_234_566);
    assert_eq!(token(&sealed(&fleet, &[OLD])).await, "t1234567");
    assert_eq!(token(&sealed(&fleet, &[OLD])).await, "t1234567");
    let (_, entry) = fleet.store.entries().remove(0);
    assert!(!entry.windows(8).any(|bytes| bytes == b"t1234567"));
    assert!(!entry.windows(6).any(|bytes| bytes == b"Bearer"));

    // The same token is never the same entry, as each has a nonce of its own.
    fleet.store.evict();
    fleet.issuer.lock().number_from(1_234_566);
    token(&sealed(&fleet, &[OLD])).await;
    assert_ne!(fleet.store.entries().remove(0).1, entry);
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_without_a_token_request() {
    let fleet = fleet();
    // As the replicas get the new key one after the other, first to open and then to seal.
    for keys in [&[OLD][..], &[OLD, NEW], &[NEW, OLD]] {
        assert_eq!(token(&sealed(&fleet, keys)).await, "t1");
    }
    // The next renewal seals with the new one. The old one can go when all that it has sealed is over.
    fleet.store.evict();
    for keys in [&[NEW, OLD][..], &[OLD, NEW], &[NEW]] {
        assert_eq!(token(&sealed(&fleet, keys)).await, "t2");
    }
    assert_eq!(fleet.issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_no_key_opens_is_replaced() {
    let fleet = fleet();
    assert_eq!(token(&sealed(&fleet, &[OLD])).await, "t1");
    assert_eq!(token(&sealed(&fleet, &[NEW])).await, "t2");
    assert_eq!(token(&sealed(&fleet, &[NEW])).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sealed_is_not_used_by_who_seals_nor_the_reverse() {
    let fleet = fleet();
    let unsealed = || TokenCache::new(fleet.shared().unsealed());
    assert_eq!(token(&unsealed()).await, "t1");
    assert_eq!(token(&sealed(&fleet, &[OLD])).await, "t2");
    assert_eq!(token(&unsealed()).await, "t3");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_changed_cut_or_moved_is_not_used() {
    let fleet = fleet();
    token(&sealed(&fleet, &[OLD])).await;
    let (_, entry) = fleet.store.entries().remove(0);
    let changed = (0..entry.len()).map(|n| {
        let mut bytes = entry.to_vec();
        bytes[n] ^= 1;
        Bytes::from(bytes)
    });
    let cut = (0..entry.len()).map(|length| entry.slice(..length));
    for answer in changed.chain(cut) {
        let fetches = fleet.issuer.fetches();
        fleet.store.fault(StoreFault::Answer(answer));
        token(&sealed(&fleet, &[OLD])).await;
        assert_eq!(fleet.issuer.fetches(), fetches + 1);
    }

    fleet.store.fault(StoreFault::Answer(entry.clone()));
    assert_eq!(token(&sealed(&fleet, &[OLD])).await, "t1");
    let other = TokenCache::new(fleet.shared().name("billing").seal([text(OLD)]));
    assert_ne!(token(&other).await, "t1");
}

#[tokio::test]
async fn a_key_is_32_bytes_or_their_base64_in_any_of_its_forms() {
    let fleet = fleet();
    token(&sealed(&fleet, &[NEW])).await;
    let directory = tempfile::tempdir().unwrap();
    let forms: [&[u8]; 6] = [
        &NEW,
        BASE64_STANDARD.encode(NEW).as_bytes(),
        BASE64_STANDARD_NO_PAD.encode(NEW).as_bytes(),
        BASE64_URL_SAFE.encode(NEW).as_bytes(),
        BASE64_URL_SAFE_NO_PAD.encode(NEW).as_bytes(),
        format!("{}\r\n", BASE64_STANDARD.encode(NEW)).as_bytes(),
    ]
    .map(|form: &[u8]| -> &'static [u8] { form.to_vec().leak() });
    for (n, form) in forms.into_iter().enumerate() {
        let path = directory.path().join(n.to_string());
        fs::write(&path, form).unwrap();
        let cache = TokenCache::new(fleet.shared().seal([Secret::file(path)]));
        assert_eq!(token(&cache).await, "t1", "{n}");
    }
}

#[tokio::test]
async fn a_key_file_that_is_replaced_is_read_again() {
    let fleet = fleet();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, OLD).unwrap();
    let shared = fleet.shared().seal([Secret::file(&path)]);
    let cache = TokenCache::new(shared);
    assert_eq!(token(&cache).await, "t1");
    fs::write(&path, NEW).unwrap();
    cache.reject(&cache.peek().unwrap());
    assert_eq!(token(&cache).await, "t2");
    assert_eq!(token(&sealed(&fleet, &[NEW])).await, "t2");
}

#[tokio::test]
async fn an_invalid_key_is_an_error_that_does_not_show_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        Secret::file(path)
    };
    let closure = Secret::from_fn(async || Ok::<_, Infallible>("c2hvcnQ=".to_owned()));
    let bad = [
        Secret::from("hunter2 hunter2"),
        BASE64_STANDARD.encode([1; 16]).into(),
        BASE64_STANDARD.encode([1; 33]).into(),
        file("short", &[1; 31]),
        file("long", &[1; 33]),
        file("empty", b""),
        closure,
    ];
    for (n, secret) in bad.into_iter().enumerate() {
        let fleet = fleet();
        let error = error(fleet.shared().seal([text(OLD), secret])).await;
        let text = error.to_string();
        assert!(error.is_config() && text.contains("openssl rand -base64 32"), "{n}: {text}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(fleet.issuer.fetches(), 0, "{n}");
    }

    let error = error(fleet().shared().seal([Secret::file(directory.path().join("none"))])).await;
    assert!(error.is_config() && error.to_string().contains("none"), "{error}");
    let error = self::error(fleet().shared().seal(Vec::<Secret>::new())).await;
    assert!(error.is_config() && error.to_string().contains("`Shared::seal`"), "{error}");
}

#[tokio::test]
async fn a_closure_without_a_key_fails_the_fetch_with_its_own_error() {
    let closure = Secret::from_fn(async || Err::<String, _>("the vault is sealed"));
    let error = error(fleet().shared().seal([closure])).await;
    assert!(error.is_transient() && error.to_string().contains("sealing key"), "{error}");
    assert!(format!("{error:?}").contains("the vault is sealed"), "{error:?}");
}

#[test]
fn debug_shows_no_key() {
    let shared = fleet().shared().seal(["hunter2"]);
    let shown = format!("{shared:?} {shared:#?}");
    assert!(shown.contains("redacted") && !shown.contains("hunter2"), "{shown}");
}
