// The README's links go to files. Of two definitions of a link the first counts, so here they go to items.
//! [CONTRIBUTING.md]: https://docs.rs/crate/tower-bearer/latest/source/CONTRIBUTING.md
//! [SECURITY.md]: https://docs.rs/crate/tower-bearer/latest/source/SECURITY.md
//! [`BearerAuthLayer`]: crate::BearerAuthLayer
//! [`NotReplayed`]: crate::NotReplayed
//! [`TokenError`]: crate::TokenError
//! [bound tokens]: crate::guide::bound_tokens
//! [caching]: crate::guide::caching
//! [clients]: crate::guide::clients
//! [configuration]: crate::guide::configuration
//! [fleet]: crate::guide::fleet
//! [getting started]: crate::guide::getting_started
//! [guide]: crate::guide
//! [many tokens]: crate::guide::many_tokens
//! [migration]: crate::guide::migration
//! [observability]: crate::guide::observability
//! [performance]: crate::guide::performance
//! [providers]: crate::guide::providers
//! [replay]: crate::guide::replay
//! [secrets]: crate::guide::secrets
//! [stack]: crate::guide::stack
//! [testing]: crate::guide::testing
//! [without tower]: crate::guide::without_tower
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod binding;
mod cache;
#[cfg(feature = "client-credentials")]
mod client_credentials;
#[cfg(feature = "dpop")]
#[cfg_attr(
    not(feature = "client-credentials"),
    allow(dead_code, reason = "only a token request has a nonce of the issuer")
)]
mod dpop;
mod error;
mod fetcher;
pub mod future;
#[cfg(any(doc, doctest))]
pub mod guide;
mod http;
#[cfg(any(feature = "aws-lc-rs", feature = "dpop", feature = "ring", feature = "shared"))]
#[cfg_attr(
    not(all(feature = "client-credentials", feature = "dpop", feature = "shared")),
    allow(dead_code, unused_imports, reason = "each of these features uses another part")
)]
mod jwt;
mod layer;
mod not_replayed;
mod observe;
pub mod rejection;
pub mod replay;
mod request_copy;
#[cfg(any(feature = "reqwest", feature = "reqwest-012"))]
mod reqwest_client;
#[cfg(any(feature = "reqwest-middleware", feature = "reqwest-012"))]
mod reqwest_middleware;
#[cfg(any(feature = "client-credentials", feature = "dpop", feature = "shared"))]
#[cfg_attr(
    not(all(feature = "client-credentials", feature = "shared")),
    allow(dead_code, unused_imports, reason = "each of these features uses another part")
)]
mod secret;
mod service;
mod settings;
#[cfg(feature = "shared")]
mod shared;
mod source;
mod striped;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod tokens;
mod verdict;

#[cfg(all(feature = "client-credentials", feature = "dpop"))]
pub use crate::client_credentials::Dpop;
#[cfg(all(feature = "client-credentials", any(feature = "aws-lc-rs", feature = "ring")))]
pub use crate::client_credentials::Jwt;
#[cfg(feature = "client-credentials")]
pub use crate::client_credentials::{
    Assertion, ClientAuth, ClientCredentials, ClientCredentialsBuilder, ClientCredentialsConfig,
    ClientsConfig, Grant, HttpClient, Placement, TokenExchange,
};
#[cfg(feature = "dpop")]
pub use crate::dpop::DpopKey;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use crate::jwt::JwtAlgorithm;
#[cfg(any(feature = "reqwest", feature = "reqwest-012"))]
pub use crate::reqwest_client::ReqwestClient;
#[cfg(any(feature = "client-credentials", feature = "dpop", feature = "shared"))]
pub use crate::secret::Secret;
#[cfg(all(feature = "shared", unix))]
pub use crate::shared::FileStore;
#[cfg(feature = "redis")]
pub use crate::shared::RedisStore;
#[cfg(feature = "shared")]
pub use crate::shared::{Shared, StoreEntry, TokenStore};
#[cfg(feature = "token-caches")]
pub use crate::tokens::{TokenCaches, TokenCachesBuilder};
pub use crate::{
    cache::{TokenCache, TokenCacheBuilder, TokenChange, TokenChanges, TokenStatus},
    error::{BoxError, TokenError},
    fetcher::{FetchContext, FetchFn, FetchReason, TokenFetcher, fetch_fn},
    layer::BearerAuthLayer,
    not_replayed::NotReplayed,
    service::BearerAuth,
    target::Anonymous,
    token::Token,
    tokens::RequestHead,
};
