//! [`FileStore`]: one directory, many processes.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tower_bearer::{FileStore, TokenStore};

use super::contract::contract;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_directory_keeps_what_a_store_promises() {
    let directory = directory();
    contract(FileStore::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn stores_of_one_directory_are_one_store() {
    let directory = directory();
    let [a, b] = [(); 2].map(|()| FileStore::open(directory.path()).unwrap());
    assert!(a.lock("key", "a", LONG).await.unwrap());
    assert!(!b.lock("key", "b", LONG).await.unwrap());
    assert!(a.store("key", "a", "value".into(), LONG).await.unwrap());
    assert_eq!(b.load("key").await.unwrap().unwrap().value, "value");
    assert!(b.lock("key", "b", LONG).await.unwrap());
}

#[tokio::test]
async fn the_directory_and_its_files_are_the_users_alone() {
    let directory = directory();
    let path = directory.path().join("made/for/tokens");
    let store = FileStore::open(&path).unwrap();
    assert!(store.is_private());
    assert!(store.lock("key", "a", LONG).await.unwrap());
    assert!(store.store("key", "a", "value".into(), LONG).await.unwrap());
    assert_eq!(mode(&path), 0o700);
    let files = files(&path);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&path.join(&file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused() {
    for mode in [0o770, 0o777, 0o720, 0o702, 0o1777] {
        let directory = directory();
        set_mode(directory.path(), mode);
        let error = FileStore::open(directory.path()).unwrap_err();
        assert!(error.is_config());
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("chmod go-w"), "{source}");
        assert!(files(directory.path()).is_empty());
    }
    for mode in [0o700, 0o755] {
        let directory = directory();
        set_mode(directory.path(), mode);
        FileStore::open(directory.path()).unwrap();
    }
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_by_now_is_refused() {
    let directory = directory();
    let store = FileStore::open(directory.path()).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    set_mode(directory.path(), 0o777);
    for error in [
        store.load("key").await.map(drop),
        store.lock("key", "a", LONG).await.map(drop),
        store.store("key", "a", "value".into(), LONG).await.map(drop),
        store.unlock("key", "a").await,
    ] {
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}

/// Only the superuser can give a directory away.
#[tokio::test]
async fn a_directory_of_another_user_is_refused() {
    let directory = directory();
    let path = directory.path();
    let root = rustix::process::geteuid().is_root();
    let foreign = if root {
        std::os::unix::fs::chown(path, Some(12345), None).unwrap();
        path
    } else {
        Path::new("/")
    };
    let error = FileStore::open(foreign).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.is_config() && source.contains("belongs to the user"), "{source}");
}

#[test]
fn what_is_not_a_directory_is_refused() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.as_path(), &file.join("below"), Path::new("/proc/tokens"), Path::new("")] {
        let error = FileStore::open(path).unwrap_err();
        assert!(error.is_config(), "{path:?}: {error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn a_directory_that_was_removed_is_made_again() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = FileStore::open(&path).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    fs::remove_dir_all(&path).unwrap();
    assert!(store.load("key").await.unwrap().is_none());
    assert!(store.lock("key", "b", LONG).await.unwrap());
    assert_eq!(mode(&path), 0o700);
}

#[tokio::test]
async fn keys_and_owners_name_no_file() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = FileStore::open(&path).unwrap();
    let absolute = directory.path().join("escaped").display().to_string();
    for key in ["../escaped", &absolute, "..", "lock", ""] {
        assert!(store.lock(key, "../owner", LONG).await.unwrap());
        assert!(store.store(key, "../owner", "value".into(), LONG).await.unwrap());
    }
    assert_eq!(files(directory.path()), ["tokens"]);
    assert_eq!(files(&path).len(), 6);
}

#[tokio::test]
async fn a_symbolic_link_is_not_followed() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = FileStore::open(&path).unwrap();
    let target = directory.path().join("target");
    fs::write(&target, "untouched").unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    let record = path.join(record(&path));
    fs::remove_file(&record).unwrap();
    symlink(&target, &record).unwrap();
    assert!(store.load("key").await.is_err());
    assert_eq!(fs::read_to_string(target).unwrap(), "untouched");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_nothing_and_is_replaced() {
    let directory = directory();
    let path = directory.path();
    let store = FileStore::open(path).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    assert!(store.store("key", "a", "value".into(), LONG).await.unwrap());
    let file = path.join(record(path));
    let whole = fs::read(&file).unwrap();
    let head = String::from_utf8(whole.clone()).unwrap();
    let broken = [
        Vec::new(),
        b"\n".to_vec(),
        b"{}\n".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&*whole, b"more"].concat(),
        head.replace("\"version\":1", "\"version\":2").into_bytes(),
        head.replace("\"secs\":", "\"secs\":-").into_bytes(),
        vec![0xff; 70_000],
    ];
    for bytes in broken {
        assert_ne!(bytes, whole);
        fs::write(&file, &bytes).unwrap();
        assert!(store.load("key").await.unwrap().is_none());
        assert!(store.lock("key", "b", LONG).await.unwrap());
        assert!(store.store("key", "b", "new".into(), LONG).await.unwrap());
        assert_eq!(store.load("key").await.unwrap().unwrap().value, "new");
    }
}

#[tokio::test]
async fn what_was_stored_before_the_machine_started_is_void() {
    let directory = directory();
    let path = directory.path();
    let store = FileStore::open(path).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    assert!(store.store("key", "a", "value".into(), LONG).await.unwrap());
    assert!(store.lock("key", "a", LONG).await.unwrap());
    let file = path.join(record(path));
    let (head, value) = split(&fs::read(&file).unwrap());
    let head = head.replace("\"boot\":\"", "\"boot\":\"another");
    fs::write(&file, format!("{head}\n{value}")).unwrap();
    assert!(store.load("key").await.unwrap().is_none());
    assert!(store.lock("key", "b", LONG).await.unwrap());
}

#[tokio::test]
async fn opening_sweeps_what_is_good_for_nothing_and_leaves_the_rest() {
    let directory = directory();
    let path = directory.path();
    let store = FileStore::open(path).unwrap();
    for (key, expires_in) in [("good", LONG), ("expired", Duration::ZERO)] {
        assert!(store.lock(key, "a", LONG).await.unwrap());
        assert!(store.store(key, "a", "value".into(), expires_in).await.unwrap());
    }
    assert!(store.lock("locked", "a", LONG).await.unwrap());
    let unfinished = format!("{}.new", record(path));
    fs::write(path.join(&unfinished), "half").unwrap();
    fs::write(path.join("not-ours.token"), "").unwrap();
    fs::DirBuilder::new().mode(0o700).create(path.join("0".repeat(64) + ".token")).unwrap();
    assert_eq!(files(path).len(), 7);

    let store = FileStore::open(path).unwrap();
    let left = files(path);
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!left.contains(&unfinished) && left.iter().any(|it| it == "not-ours.token"));
    assert_eq!(store.load("good").await.unwrap().unwrap().value, "value");
    assert!(!store.lock("locked", "b", LONG).await.unwrap());
}

/// Eight processes count with the lock, which a ninth had when it was killed.
#[tokio::test]
async fn processes_exclude_each_other_and_a_killed_one_excludes_none() {
    let directory = directory();
    let store = FileStore::open(directory.path()).unwrap();
    let mut holder = Process::start("hold", directory.path(), 8);
    until(async || store.load("held").await.unwrap().is_some()).await;
    holder.kill();
    let mut children =
        (0..8).map(|n| Process::start("count", directory.path(), n)).collect::<Vec<_>>();
    for child in &mut children {
        until(async || child.has_succeeded()).await;
    }
    assert_eq!(count(&store).await, 8 * 50);
}

/// A process that does nothing but change is killed in the middle of a change more often than not.
#[tokio::test]
async fn a_process_killed_during_a_change_leaves_nothing_stuck() {
    let directory = directory();
    let store = FileStore::open(directory.path()).unwrap();
    for n in 0..8 {
        let mut child = Process::start("churn", directory.path(), n);
        until(async || store.load(&format!("churned-{n}")).await.unwrap().is_some()).await;
        child.kill();
        let value = store.load("churn").await.unwrap().unwrap().value;
        assert!(value.len() == 64 * 1024 && value.iter().all(|byte| *byte == value[0]));
        until(async || in_time(async || store.lock("churn", "after", SHORT).await).await).await;
        assert!(store.store("churn", "after", value, LONG).await.unwrap());
    }
}

#[tokio::test]
async fn a_stopped_process_in_the_directory_costs_an_error() {
    let directory = directory();
    let store = FileStore::open(directory.path()).unwrap();
    let lock = fs::File::options().write(true).open(directory.path().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let begun = Instant::now();
    let error = store.lock("key", "a", LONG).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(store.load("key").await.unwrap().is_none(), "reading needs no lock");
    FileStore::open(directory.path()).unwrap();
    drop(lock);
    assert!(store.lock("key", "a", LONG).await.unwrap());
}

/// Nothing unless another test starts it in a process of its own.
#[tokio::test]
async fn process() {
    let Ok(task) = env::var("FILE_STORE_TASK") else { return };
    let store = FileStore::open(env::var("FILE_STORE_DIRECTORY").unwrap()).unwrap();
    let owner = env::var("FILE_STORE_OWNER").unwrap();
    match &*task {
        "count" => {
            for _ in 0..50 {
                until(async || in_time(async || store.lock("count", &owner, LONG).await).await)
                    .await;
                let next = Bytes::from((count(&store).await + 1).to_string());
                let stored = async || store.store("count", &owner, next.clone(), LONG).await;
                assert!(in_time(stored).await);
            }
        }
        "hold" => {
            assert!(in_time(async || store.lock("count", &owner, SHORT).await).await);
            put(&store, "held", &owner, "").await;
            std::future::pending().await
        }
        _ => loop {
            put(&store, "churn", &owner, vec![fastrand::u8(..); 64 * 1024]).await;
            put(&store, &format!("churned-{owner}"), &owner, "").await;
        },
    }
}

/// This binary again, with the test above alone.
struct Process(Child);

impl Process {
    fn start(task: &str, directory: &Path, owner: u32) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "shared::file::process", "--nocapture"])
            .env("FILE_STORE_TASK", task)
            .env("FILE_STORE_DIRECTORY", directory)
            .env("FILE_STORE_OWNER", owner.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn has_succeeded(&mut self) -> bool {
        let status = self.0.try_wait().unwrap();
        status.is_some_and(|status| {
            assert!(status.success(), "{status}");
            true
        })
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Under a short lock, which a killed process does not keep for long. A slow machine may take it away before.
async fn put(store: &FileStore, key: &str, owner: &str, value: impl Into<Bytes>) {
    let value = value.into();
    until(async || {
        in_time(async || store.lock(key, owner, SHORT).await).await
            && in_time(async || store.store(key, owner, value.clone(), LONG).await).await
    })
    .await;
}

/// Where the disk is slow, a process that waits for the directory is told so, and nothing is changed. It tries
/// again.
async fn in_time(mut change: impl AsyncFnMut() -> io::Result<bool>) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match change().await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {}
            changed => return changed.unwrap(),
        }
    }
}

async fn count(store: &FileStore) -> u64 {
    let entry = store.load("count").await.unwrap();
    entry.map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap())
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(Instant::now() < deadline, "it has not happened");
        sleep(Duration::from_millis(5)).await;
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn files(path: &Path) -> Vec<String> {
    let names =
        fs::read_dir(path).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// The name of the one record in this directory.
fn record(path: &Path) -> String {
    files(path).into_iter().find(|name| name.ends_with(".token")).unwrap()
}

fn split(record: &[u8]) -> (String, String) {
    let (head, value) = std::str::from_utf8(record).unwrap().split_once('\n').unwrap();
    (head.to_owned(), value.to_owned())
}
