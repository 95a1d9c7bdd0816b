//! One token for many processes, through a store that they share.

mod store;

pub use store::{StoreEntry, TokenStore};
