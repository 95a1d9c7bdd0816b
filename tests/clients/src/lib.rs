//! The clients of the guide. The text of each client's file is what the guide shows.

pub mod api;
pub mod jsonrpsee;
pub mod kube;
pub mod octocrab;
pub mod opentelemetry;
pub mod websocket;
