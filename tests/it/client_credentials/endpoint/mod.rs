//! The token endpoint (`src/client_credentials/endpoint`).

mod discovery;
mod shared_discovery;
