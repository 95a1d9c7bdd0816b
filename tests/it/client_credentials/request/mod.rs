//! The token request (`src/client_credentials/request`, `src/client_credentials/message`).

mod placement;
mod token_exchange;
mod token_request;
