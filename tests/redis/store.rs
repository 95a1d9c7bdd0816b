//! [`RedisStore`] by itself.

use std::{error::Error, time::Duration};

use redis::{
    Client, ErrorKind, IntoConnectionInfo, RedisError, ServerErrorKind,
    aio::{ConnectionManager, MultiplexedConnection},
    cluster::ClusterClient,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tower_bearer::{RedisStore, TokenStore};

use crate::{
    contract::contract,
    proxy::Proxy,
    server::{Server, send},
};

const LONG: Duration = Duration::from_secs(3600);
const PASSWORD: &str = "correct-horse-battery-staple";

#[tokio::test]
async fn redis_keeps_what_a_store_promises() {
    let Some(server) = Server::start(&[]) else { return };
    contract(RedisStore::connect(server.url()).unwrap()).await;
}

#[tokio::test]
async fn redis_keeps_the_contract_over_tcp_and_a_given_connection() {
    let Some(server) = Server::start(&[]) else { return };
    let proxy = Proxy::start(server.socket()).await;
    let client = Client::open(format!("{}/3?protocol=resp3", proxy.url())).unwrap();
    contract(RedisStore::new(ConnectionManager::new(client).await.unwrap())).await;
    let used: String = server.command("INFO keyspace").await;
    assert!(used.contains("db3:") && !used.contains("db0:"), "{used}");
}

#[tokio::test]
async fn a_cluster_keeps_what_a_store_promises() {
    let port = free_port();
    let args = ["--cluster-enabled", "yes", "--bind", "127.0.0.1", "--port", &port];
    let Some(server) = Server::start(&args) else { return };
    let () = server.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
    until(async || server.command::<String>("CLUSTER INFO").await.contains("cluster_state:ok"))
        .await;
    let client = ClusterClient::new([format!("redis://127.0.0.1:{port}")]).unwrap();
    let connection = client.get_async_connection().await.unwrap();
    contract(RedisStore::new(connection.clone())).await;
    contract(RedisStore::new(connection).prefix("a{b}c}:")).await;
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_suffices() {
    let Some(server) = Server::start(&[]) else { return };
    let () = server
        .command(&format!(
            "ACL SETUSER orders on >{PASSWORD} ~tower-bearer:* \
             +evalsha +script|load +get +set +del +pttl"
        ))
        .await;
    let url = format!("{}?user=orders&pass={PASSWORD}", server.url());
    contract(RedisStore::connect(&*url).unwrap()).await;

    let elsewhere = RedisStore::connect(url).unwrap().prefix("billing:");
    let error = elsewhere.lock("key", "a", LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_repeat_it() {
    for protocol in ["resp2", "resp3"] {
        let Some(server) = Server::start(&[]) else { return };
        let url = format!("{}?user=orders&pass={PASSWORD}&protocol={protocol}", server.url());
        let store = RedisStore::connect(url).unwrap();
        for _ in 0..2 {
            let error = store.lock("key", "a", LONG).await.unwrap_err();
            let refused = error.kind() == ErrorKind::AuthenticationFailed;
            assert!(refused || error.code() == Some("WRONGPASS"), "{error}");
            assert_hidden(&error);
        }
        let () = server.command(&format!("ACL SETUSER orders on >{PASSWORD} ~* +@all")).await;
        assert!(store.lock("key", "a", LONG).await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_wants_a_password_and_gets_none_is_an_error() {
    let Some(server) = Server::start(&["--requirepass", PASSWORD]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    let error = store.lock("key", "a", LONG).await.unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"), "{error}");
}

#[tokio::test]
async fn a_full_server_is_an_error_until_it_has_fewer_clients() {
    let Some(server) = Server::start(&[]) else { return };
    let mut admin = server.connection().await;
    let () = send(&mut admin, &format!("ACL SETUSER default >{PASSWORD}")).await;
    let () = send(&mut admin, "CONFIG SET maxclients 1").await;
    let store = RedisStore::connect(format!("{}?pass={PASSWORD}", server.url())).unwrap();
    assert_hidden(&store.lock("key", "a", LONG).await.unwrap_err());
    let () = send(&mut admin, "CONFIG SET maxclients 10").await;
    assert!(store.lock("key", "a", LONG).await.unwrap());
}

#[tokio::test]
async fn a_server_that_is_absent_at_first_is_used_when_it_is_there() {
    let Some(mut server) = Server::start(&[]) else { return };
    server.kill();
    std::fs::remove_file(server.socket()).unwrap();
    let store = RedisStore::connect(server.url()).unwrap();
    for _ in 0..3 {
        let error = store.load("key").await.unwrap_err();
        assert!(error.is_connection_refusal(), "{error}");
    }
    server.restart();
    assert!(store.lock("key", "a", LONG).await.unwrap());
}

#[tokio::test]
async fn a_killed_server_is_an_error_until_it_is_back() {
    let Some(mut server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    server.kill();
    for _ in 0..3 {
        assert!(store.lock("key", "a", LONG).await.unwrap_err().is_io_error());
    }
    server.restart();
    assert!(store.lock("key", "b", LONG).await.unwrap(), "the lock is gone with the server");
}

#[tokio::test]
async fn a_server_that_was_restarted_meanwhile_is_no_error() {
    let Some(mut server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    server.kill();
    server.restart();
    assert!(!store.store("key", "a", "value".into(), LONG).await.unwrap());
}

#[tokio::test]
async fn an_idle_connection_that_the_server_has_closed_is_no_error() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    for _ in 0..3 {
        assert!(store.lock("key", "a", LONG).await.unwrap());
        let () = server.command("CLIENT KILL TYPE normal SKIPME yes").await;
    }
}

#[tokio::test]
async fn operations_on_a_server_that_stands_still_end() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    assert!(store.lock("key", "a", LONG).await.unwrap());
    server.pause();
    let begun = Instant::now();
    let error = store.load("key").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // More than the connection has room for, and each of them is dropped.
    for _ in 0..200 {
        assert!(timeout(Duration::from_millis(1), store.lock("key", "b", LONG)).await.is_err());
    }
    server.resume();
    let found = timeout(Duration::from_secs(10), store.load("key")).await.unwrap();
    assert!(found.unwrap().is_none());
    assert!(store.store("key", "a", "value".into(), LONG).await.unwrap());
    assert_eq!(connections(&server).await, 1, "the connection is the first one");
}

#[tokio::test]
async fn a_slow_connection_is_used_by_later_callers() {
    let Some(server) = Server::start(&[]) else { return };
    let proxy = Proxy::start(server.socket()).await;
    let store = RedisStore::connect(proxy.url()).unwrap();
    proxy.delay(Duration::from_millis(300));
    assert!(timeout(Duration::from_millis(200), store.load("key")).await.is_err());
    proxy.delay(Duration::ZERO);
    until(async || timeout(Duration::from_millis(200), store.load("key")).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_without_memory_is_an_error_and_changes_nothing() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    put(&store, "key", "value").await;
    assert!(store.lock("key", "a", LONG).await.unwrap());
    let () = server.command("CONFIG SET maxmemory 1").await;
    for error in [
        store.lock("other", "a", LONG).await.unwrap_err(),
        store.store("key", "a", "new".into(), LONG).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("OOM"), "{error}");
    }
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "value");
    let () = server.command("CONFIG SET maxmemory 0").await;
    assert!(store.store("key", "a", "new".into(), LONG).await.unwrap());
}

#[tokio::test]
async fn a_replica_fails_writes_until_it_is_promoted() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    put(&store, "key", "value").await;
    let () = server.command("REPLICAOF 127.0.0.1 1").await;
    let error = store.lock("key", "a", LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly), "{error}");
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "value");
    let () = server.command("REPLICAOF NO ONE").await;
    assert!(store.lock("key", "a", LONG).await.unwrap());
}

#[tokio::test]
async fn what_is_evicted_is_not_there_and_its_lock_is_nobodys() {
    let Some(server) = Server::start(&["--maxmemory-policy", "allkeys-random"]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    put(&store, "key", "value").await;
    assert!(store.lock("key", "a", LONG).await.unwrap());
    let () = server.command("CONFIG SET maxmemory 1").await;
    until(async || server.command::<u64>("DBSIZE").await == 0).await;
    let () = server.command("CONFIG SET maxmemory 0").await;
    assert!(store.load("key").await.unwrap().is_none());
    assert!(!store.store("key", "a", "late".into(), LONG).await.unwrap());
    assert!(store.lock("key", "b", LONG).await.unwrap());

    let () = server.command("FLUSHALL").await;
    assert!(!store.store("key", "b", "late".into(), LONG).await.unwrap());
    assert!(store.load("key").await.unwrap().is_none());
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    let () = server.command("LPUSH tower-bearer:{key}:token x").await;
    let error = store.load("key").await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
    // What has the lock replaces it.
    put(&store, "key", "value").await;
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "value");

    let () = server.command("LPUSH tower-bearer:{key}:lock x").await;
    for error in [
        store.lock("key", "a", LONG).await.unwrap_err(),
        store.store("key", "a", "new".into(), LONG).await.unwrap_err(),
        store.unlock("key", "a").await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
    }
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "value");
}

#[tokio::test]
async fn a_value_without_an_expiry_is_not_an_entry() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    let () = server.command("SET tower-bearer:{key}:token x").await;
    assert!(store.load("key").await.unwrap().is_none());
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_loaded_again() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    put(&store, "key", "value").await;
    let () = server.command("SCRIPT FLUSH").await;
    put(&store, "key", "new").await;
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "new");
}

#[tokio::test]
async fn prefixes_separate_stores_and_begin_every_name() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    let staging = RedisStore::connect(server.url()).unwrap().prefix("staging:");
    for (store, value) in [(&store, "one"), (&staging, "other")] {
        put(store, "key", value).await;
        assert!(store.lock("key", "a", LONG).await.unwrap());
    }
    assert_eq!(store.load("key").await.unwrap().unwrap().value, "one");
    let mut names: Vec<String> = server.command("KEYS *").await;
    names.sort();
    let expected = [
        "staging:{key}:lock",
        "staging:{key}:token",
        "tower-bearer:{key}:lock",
        "tower-bearer:{key}:token",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_store_needs_no_runtime_to_be_made_and_outlives_its_first() {
    let Some(server) = Server::start(&[]) else { return };
    let store = RedisStore::connect(server.url()).unwrap();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { assert!(store.lock("key", "a", LONG).await.unwrap()) });
    }
}

#[test]
fn a_malformed_url_is_an_error_that_does_not_repeat_it() {
    for url in [
        format!("http://orders:{PASSWORD}@localhost"),
        format!("redis://orders:{PASSWORD}@"),
        format!("redis://orders:{PASSWORD}@localhost/{PASSWORD}"),
        format!("redis://orders:{PASSWORD}@localhost:{PASSWORD}"),
        format!("redis://orders:{PASSWORD}@localhost?protocol={PASSWORD}"),
        format!("redis+unix:///socket?pass={PASSWORD}&db={PASSWORD}"),
        format!("rediss://orders:{PASSWORD}@localhost"),
        PASSWORD.to_owned(),
        String::new(),
    ] {
        let error = RedisStore::connect(&*url).unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("redis://"), "{error}");
        assert_hidden(&error);
    }
}

#[test]
fn debug_shows_no_password() {
    let url = format!("redis://orders:{PASSWORD}@localhost");
    let store = RedisStore::connect(url.into_connection_info().unwrap()).unwrap();
    assert_eq!(format!("{store:?}"), "RedisStore { prefix: \"tower-bearer:\", .. }");
}

/// As Redis before version 6 answers to `HELLO`, and what is no Redis at all.
#[tokio::test]
async fn rubbish_is_an_error_that_does_not_repeat_the_password() {
    let echo = format!(
        "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `orders`, `{}`\r\n",
        &PASSWORD[..PASSWORD.len() / 2],
    );
    let newer = echo.replace('`', "'");
    let denied = format!("-DENIED `AUTH orders {PASSWORD}`\r\n");
    for (answer, protocol) in [
        (echo.as_str(), "resp3"),
        (newer.as_str(), "resp3"),
        (denied.as_str(), "resp3"),
        (denied.as_str(), "resp2"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "resp2"),
        ("*1000000000\r\n", "resp2"),
        ("$-5\r\n", "resp2"),
        ("+OK\r\n+OK\r\n+OK\r\n+OK\r\n+surprise\r\n", "resp2"),
        ("+OK\r\n+OK\r\n+OK\r\n*2\r\n$1\r\nx\r\n:-7\r\n", "resp2"),
        ("", "resp2"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let text = answer.to_owned();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let text = text.clone();
                tokio::spawn(async move {
                    let mut commands = [0; 4096];
                    let length = stream.read(&mut commands).await.unwrap_or_default();
                    // An error is the answer to each command.
                    let times = match text.starts_with('-') {
                        true => commands[..length]
                            .split(|&byte| byte == b'\n')
                            .filter(|line| line.starts_with(b"*"))
                            .count(),
                        false => 1,
                    };
                    let _ = stream.write_all(text.repeat(times).as_bytes()).await;
                    // To close the socket at once could take the answer away from the client.
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {}
                });
            }
        });
        let url = format!("redis://orders:{PASSWORD}@{address}?protocol={protocol}");
        let store = RedisStore::connect(url).unwrap();
        let begun = Instant::now();
        let error = store.load("key").await.unwrap_err();
        assert_hidden(&error);
        assert!(begun.elapsed() < Duration::from_secs(4), "{answer}: {:?}", begun.elapsed());
        server.abort();
    }
}

async fn put(store: &RedisStore, key: &str, value: &'static str) {
    assert!(store.lock(key, "put", LONG).await.unwrap());
    assert!(store.store(key, "put", value.into(), LONG).await.unwrap());
}

/// How many clients the server has, beside the one that asks.
async fn connections(server: &Server) -> usize {
    let mut admin: MultiplexedConnection = server.connection().await;
    send::<String>(&mut admin, "CLIENT LIST").await.lines().count() - 1
}

fn assert_hidden(error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(&PASSWORD[..8]), "{text}");
        next = error.source();
    }
    if let Some(error) = error.downcast_ref::<RedisError>() {
        assert!(!error.detail().is_some_and(|detail| detail.contains(&PASSWORD[..8])));
    }
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(Instant::now() < deadline, "it has not happened");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A node of a cluster has a second port, which is 10,000 higher.
fn free_port() -> String {
    loop {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port.to_string();
        }
    }
}
