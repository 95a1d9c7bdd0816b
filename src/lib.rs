#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod challenge;
#[cfg(feature = "client-credentials")]
mod client_credentials;
mod error;
mod fetcher;
pub mod future;
mod layer;
mod not_replayed;
mod observe;
pub mod rejection;
pub mod replay;
mod request_copy;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
mod service;
mod settings;
mod striped;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod token;

#[cfg(feature = "config")]
pub use crate::client_credentials::ClientCredentialsConfig;
#[cfg(feature = "client-credentials")]
pub use crate::client_credentials::{
    Assertion, ClientAuth, ClientCredentials, ClientCredentialsBuilder, Secret,
};
#[cfg(feature = "jwt")]
pub use crate::client_credentials::{Jwt, JwtAlgorithm};
pub use crate::{
    cache::{TokenCache, TokenCacheBuilder},
    error::{BoxError, TokenError},
    fetcher::{FetchContext, FetchFn, FetchReason, TokenFetcher, fetch_fn},
    layer::BearerAuthLayer,
    not_replayed::NotReplayed,
    service::BearerAuth,
    target::Anonymous,
    token::Token,
};
