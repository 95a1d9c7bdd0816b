//! The layer and its services, among other layers (`src/layer.rs`, `src/service.rs`, `src/future.rs`,
//! `src/target.rs`).

mod adversity;
mod header;
mod late;
mod order;
mod readiness;
mod redirect;
mod request;
mod step_up;
