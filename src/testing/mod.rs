//! An authorization server and a protected API on loopback, for tests of your own client stack.
//!
//! Both speak real HTTP/1.1 on `127.0.0.1`, on a port that the system chooses. They run in the tokio
//! runtime that starts them, and stop when they are dropped.
//!
//! By default they behave as servers should: [`AuthorizationServer`] issues tokens, [`ProtectedApi`]
//! accepts the active ones and answers 401 otherwise. A test scripts what goes wrong: a revoked token, a
//! slow issuer, an [`Answer`] of its own, a connection that breaks. Both record each request that they
//! [`Received`], so that the test can check what was sent.
//!
//! There is no TLS and no limit on the size of a request. The servers are not fit to guard a real service.
//!
//! The guide has [a page on testing](crate::guide::testing).
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode, header};
//! use http_body_util::{BodyExt, Full};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower_bearer::testing::{AuthorizationServer, ProtectedApi};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = AuthorizationServer::start().await?;
//! let api = ProtectedApi::start(&issuer).await?;
//! issuer.client("orders", "s3cr3t");
//!
//! let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//! let form = "grant_type=client_credentials&client_id=orders&client_secret=s3cr3t";
//! let answer = client.request(Request::post(issuer.token_endpoint()).body(form.into())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//!
//! let json = answer.into_body().collect().await?.to_bytes();
//! let grant: serde_json::Value = serde_json::from_slice(&json)?;
//! let token = grant["access_token"].as_str().ok_or("no token")?;
//!
//! let request = Request::get(api.url("/orders"))
//!     .header(header::AUTHORIZATION, format!("Bearer {token}"))
//!     .body(Full::default())?;
//! assert_eq!(client.request(request.clone()).await?.status(), StatusCode::OK);
//!
//! issuer.revoke_all();
//! assert_eq!(client.request(request).await?.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(api.requests().len(), 2);
//! # Ok(()) }
//! ```

mod answer;
mod authorization_server;
mod clients;
mod endpoint;
mod issuer;
mod loopback;
#[cfg(feature = "shared")]
mod memory_store;
mod protected_api;
mod received;
mod tokens;

#[cfg(feature = "shared")]
pub use self::memory_store::MemoryStore;
pub use self::{
    answer::Answer, authorization_server::AuthorizationServer, protected_api::ProtectedApi,
    received::Received,
};
