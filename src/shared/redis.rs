use std::{fmt, sync::Mutex, time::Duration};

use bytes::Bytes;
use redis::{
    Client, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, Script, ScriptInvocation,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};

use crate::{
    error::TokenError,
    shared::store::{StoreEntry, TokenStore},
};

/// A [`TokenStore`] in Redis, or in what speaks its protocol, such as Valkey.
///
/// [`connect`](Self::connect) takes a URL:
///
/// ```
/// use tower_bearer::RedisStore;
///
/// # fn main() -> Result<(), tower_bearer::TokenError> {
/// let store = RedisStore::connect("redis://orders:password@redis.internal:6379/0")?;
/// # Ok(())
/// # }
/// ```
///
/// [`new`](Self::new) takes any connection of the crate `redis` that can be cloned, such as that to a cluster.
///
/// # What it needs
///
/// - Redis 2.6.12 or newer. Of an ACL, `~tower-bearer:* +evalsha +script|load +get +set +del +pttl`
///   suffices, with `+select` for a database other than 0.
/// - A key `tower-bearer:{..}:token` and a key `tower-bearer:{..}:lock` for each client. Both are in one
///   hash slot of a cluster, and expire. Of the eviction policies all will do: what is evicted is fetched
///   anew.
/// - A server that writes are sent to. Replication is asynchronous, so that a lock or a token can be lost
///   in a failover. This costs one token request.
///
/// # TLS
///
/// This crate's feature `redis` does not enable TLS. For `rediss://`, depend on the crate `redis` in the
/// same version and enable one of its features for TLS on tokio, such as `tokio-rustls-comp`.
///
/// # Errors
///
/// Errors of an operation are those of the crate `redis`: no connection, no permission, no memory, a
/// replica that is read-only, a key of another type. They do not repeat the password.
pub struct RedisStore<C = ConnectionManager> {
    open: Box<dyn Fn() -> RedisResult<C> + Send + Sync>,
    /// `None` after a failure that a connection may not recover from by itself.
    connection: Mutex<Option<C>>,
    password: Option<String>,
    prefix: String,
    load: Script,
    lock: Script,
    store: Script,
    unlock: Script,
}

impl RedisStore {
    /// A store in the Redis server of this URL: `redis://user:password@host:6379/0` or
    /// `redis+unix:///path?user=..&pass=..`. The user, the password, the port and the number of the
    /// database may be left out. [`ConnectionInfo`](redis::ConnectionInfo) has more settings.
    ///
    /// The first operation opens the connection, so the server may be absent at first, or go and come back.
    /// An attempt to connect takes at most 1 s, and the server has 500 ms for the response to a command.
    /// An operation that finds its connection closed is tried once more. Nothing is sent while nobody calls
    /// the store.
    ///
    /// # Errors
    ///
    /// The URL is malformed, or asks for TLS that the crate `redis` is built without
    /// ([`is_config`](TokenError::is_config)).
    pub fn connect(url: impl IntoConnectionInfo) -> Result<Self, TokenError> {
        let info = url.into_connection_info().map_err(malformed)?;
        let password = info.redis_settings().password().map(str::to_owned);
        let info = notices_dead_peers(info);
        let client = Client::open(info).map_err(malformed)?;
        // The caller has gone before a second attempt of the manager's would be of use.
        let config = ConnectionManagerConfig::new().set_number_of_retries(0);
        let open = move || ConnectionManager::new_lazy_with_config(client.clone(), config.clone());
        Ok(Self { password, ..Self::opened_by(open) })
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    /// A store behind this connection, such as a `ConnectionManager` of your own, or a `ClusterConnection`.
    ///
    /// The connection should reconnect by itself, as these two do, and should have a timeout for responses.
    /// One that a `SentinelClient` gives stays with its server, also when another becomes the master.
    pub fn new(connection: C) -> Self {
        Self::opened_by(move || Ok(connection.clone()))
    }
}

impl<C> RedisStore<C> {
    /// What the names of the keys begin with. Defaults to `tower-bearer:`.
    ///
    /// It separates those who may not share tokens, such as two environments on one server. On a cluster it
    /// must not contain `{}`, which would make an empty hash tag.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn opened_by(open: impl Fn() -> RedisResult<C> + Send + Sync + 'static) -> Self {
        Self {
            open: Box::new(open),
            connection: Mutex::new(None),
            password: None,
            prefix: "tower-bearer:".to_owned(),
            load: Script::new(LOAD),
            lock: Script::new(LOCK),
            store: Script::new(STORE),
            unlock: Script::new(UNLOCK),
        }
    }

    fn token_key(&self, key: &str) -> String {
        format!("{}{{{key}}}:token", self.prefix)
    }

    fn lock_key(&self, key: &str) -> String {
        format!("{}{{{key}}}:lock", self.prefix)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let mut result = script.invoke_async(&mut self.connection()?).await;
        // Servers and proxies close idle connections, which is only noticed by the next command.
        if matches!(&result, Err(error) if error.is_connection_dropped()) {
            result = script.invoke_async(&mut self.connection()?).await;
        }
        result.map_err(|error| {
            // `ConnectionManager` reconnects after an I/O error alone. It would repeat for ever that the password is
            // wrong, or that the server has too many clients.
            if !error.is_io_error() {
                *self.current() = None;
            }
            self.without_password(error)
        })
    }

    fn connection(&self) -> RedisResult<C> {
        let mut current = self.current();
        match &*current {
            Some(connection) => Ok(connection.clone()),
            None => Ok(current.insert((self.open)()?).clone()),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<C>> {
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A server that does not know a command, such as `HELLO` or `AUTH`, repeats its arguments, possibly cut off.
    fn without_password(&self, error: RedisError) -> RedisError {
        let text = error.to_string();
        let repeats_all = self.password.as_deref().is_some_and(|it| text.contains(it));
        if repeats_all || text.contains("args beginning with") {
            let text = "the server's message is left out, since it repeats what was sent to it";
            return RedisError::from((error.kind(), text));
        }
        error
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> TokenStore for RedisStore<C> {
    type Error = RedisError;

    async fn load(&self, key: &str) -> RedisResult<Option<StoreEntry>> {
        let script = self.load.key(self.token_key(key));
        let found: Option<(Vec<u8>, u64)> = self.run(&script).await?;
        Ok(found.map(|(value, left)| StoreEntry::new(value, Duration::from_millis(left))))
    }

    async fn lock(&self, key: &str, owner: &str, lease: Duration) -> RedisResult<bool> {
        let mut script = self.lock.key(self.lock_key(key));
        script.arg(owner).arg(millis(lease).max(1));
        self.run(&script).await
    }

    async fn store(
        &self,
        key: &str,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
    ) -> RedisResult<bool> {
        let mut script = self.store.key(self.lock_key(key));
        script.key(self.token_key(key)).arg(owner).arg(&*value).arg(millis(expires_in));
        self.run(&script).await
    }

    async fn unlock(&self, key: &str, owner: &str) -> RedisResult<()> {
        let mut script = self.unlock.key(self.lock_key(key));
        script.arg(owner);
        self.run(&script).await
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// An entry without an expiry is not from a store of this kind.
const LOAD: &str = "\
local value = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if not value or left <= 0 then return false end
return {value, left}";

const LOCK: &str = "\
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// `SET` does not take an expiry of 0, which is the past.
const STORE: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[2])
else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
return 1";

const UNLOCK: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return false";

/// Rounded down, and at most what Redis can add to the time of day.
fn millis(time: Duration) -> u64 {
    const LONGEST: u64 = 1 << 52;
    u64::try_from(time.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

/// Ends a connection whose peer has vanished without a word. The callers go on dropping their futures
/// before a timeout of the connection's own could tell.
fn notices_dead_peers(info: redis::ConnectionInfo) -> redis::ConnectionInfo {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if info.tcp_settings().user_timeout().is_none() {
        let settings = info.tcp_settings().clone().set_user_timeout(Duration::from_secs(5));
        return info.set_tcp_settings(settings);
    }
    info
}

fn malformed(error: RedisError) -> TokenError {
    let message = "the URL of the Redis server cannot be used, write it as \
                   `redis://user:password@host:6379/0`, or `rediss://` with TLS enabled in the crate `redis`";
    let malformed = TokenError::config(message);
    // The detail is a part of the URL.
    if error.detail().is_some() { malformed } else { malformed.with_source(error) }
}
