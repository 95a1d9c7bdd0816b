//! The guide: a page for each task.
//!
//! The pages are documentation only. The module exists where documentation is built, and not in a program.
//!
//! | To do this | Read |
//! | --- | --- |
//! | write the first client | [`getting_started`] |
//! | use hyper, reqwest, tonic or axum | [`clients`] |
//! | give tokens to what takes no layer: headers, callbacks, logins | [`without_tower`] |
//! | combine the layer with redirects, retries, timeouts, limits and buffers | [`stack`] |
//! | choose what is kept of a request for a second attempt | [`replay`] |
//! | choose a token for each request: by audience, tenant or scope | [`many_tokens`] |
//! | share a token among processes | [`fleet`] |
//! | use tokens that only their owner can use, or revoke one | [`bound_tokens`] |
//! | ask a particular issuer for tokens | [`providers`] |
//! | read the token request from a file or the environment | [`configuration`] |
//! | authenticate the client, rotate a secret, sign an assertion | [`secrets`] |
//! | know when a token is fetched, and what happens if that fails | [`caching`] |
//! | watch it in production | [`observability`] |
//! | test a program that uses it | [`testing`] |
//! | know what it costs | [`performance`] |
//! | replace a hand-written cache, or `oauth2` | [`migration`] |

#![cfg_attr(
    not(all(
        feature = "client-credentials",
        feature = "dpop",
        feature = "redis",
        feature = "testing",
        feature = "token-caches",
        unix
    )),
    allow(rustdoc::broken_intra_doc_links, reason = "the pages link to items of all features")
)]

/// From nothing to a client that sends a token with each request.
///
#[doc = include_str!("docs/getting_started.md")]
pub mod getting_started {}

/// The calls on the layer for hyper, reqwest, tonic and axum.
///
#[doc = include_str!("docs/clients.md")]
pub mod clients {}

/// `TokenCache` alone: websockets, callbacks, SASL, database passwords.
///
#[doc = include_str!("docs/without_tower.md")]
pub mod without_tower {}

/// The order of the layers, and what another order does.
///
#[doc = include_str!("docs/stack.md")]
pub mod stack {}

/// The policies that decide whether a request can be sent a second time.
///
#[doc = include_str!("docs/replay.md")]
pub mod replay {}

/// A token for each audience, tenant or scope, chosen for each request.
///
#[doc = include_str!("docs/many_tokens.md")]
pub mod many_tokens {}

/// One token for many processes, through a store that they share.
///
#[doc = include_str!("docs/fleet.md")]
#[doc = include_str!("../benches/fleet.svg")]
pub mod fleet {}

/// Tokens that are bound to a key or to a certificate, and the revocation of a token.
///
#[doc = include_str!("docs/bound_tokens.md")]
pub mod bound_tokens {}

/// Issuers by name: what to write for each, and what is sent.
///
#[doc = include_str!("docs/providers.md")]
pub mod providers {}

/// The token request as a file or the environment describes it.
///
#[doc = include_str!("docs/configuration.md")]
pub mod configuration {}

/// Client authentication, secrets that rotate, signed assertions, and where secrets cannot appear.
///
#[doc = include_str!("docs/secrets.md")]
pub mod secrets {}

/// When a token is fetched, what happens if that fails, and each default with its setter.
///
#[doc = include_str!("docs/caching.md")]
pub mod caching {}

/// Spans, events and metrics.
///
#[doc = include_str!("docs/observability.md")]
pub mod observability {}

/// Three ways to test a program that uses the layer.
///
#[doc = include_str!("docs/testing.md")]
pub mod testing {}

/// The cost of a request, and how it was measured.
///
#[doc = include_str!("docs/performance.md")]
#[doc = include_str!("../benches/ratios.svg")]
pub mod performance {}

/// From a hand-written cache, and from the `oauth2` crate.
///
#[doc = include_str!("docs/migration.md")]
pub mod migration {}
