//! The token request (`src/client_credentials/request`, `src/client_credentials/message`).

mod placement;
mod token_request;
