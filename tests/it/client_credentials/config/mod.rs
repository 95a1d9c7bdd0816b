//! Configuration from a file or the environment (`src/client_credentials/config`).

mod clients;
mod fields;
mod providers;
