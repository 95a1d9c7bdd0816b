//! How the client authenticates (`src/client_credentials/auth`).

mod assertion;
mod rotation;
