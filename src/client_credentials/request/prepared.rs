//! A token request that is ready to be sent.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::{
    client_credentials::{binding::SentProof, response::ErrorHints},
    secret::Redactor,
};

/// An HTTP request, and what its response is read with.
pub(crate) struct PreparedRequest {
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) redactor: Redactor,
    pub(crate) hints: ErrorHints,
    pub(crate) proof: Option<SentProof>,
}
