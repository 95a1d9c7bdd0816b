//! One token for many processes, through a store that they share.

#[cfg(unix)]
mod file;
#[cfg(feature = "redis")]
mod redis;
mod store;

#[cfg(unix)]
pub use self::file::FileStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::store::{StoreEntry, TokenStore};
