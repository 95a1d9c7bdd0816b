//! Which token a request gets, where a layer has more than one.

mod request_head;
mod selector;
#[cfg(feature = "token-caches")]
mod token_caches;

pub use self::request_head::RequestHead;
pub(crate) use self::selector::Selector;
#[cfg(feature = "token-caches")]
pub use self::token_caches::{TokenCaches, TokenCachesBuilder};
