//! The token response (`src/client_credentials/response`).

mod options;
mod token_response;
