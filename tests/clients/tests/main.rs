//! The clients of the guide, each with an issuer and an API on loopback.

mod guide;
mod jsonrpsee;
mod kube;
mod octocrab;
mod opentelemetry;
mod websocket;
mod wiremock;
