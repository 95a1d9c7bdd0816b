//! Where the parameters of a token request are written.

/// Where a token request has its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// `POST` with a form as its body (RFC 6749 section 4.4.2).
    Form,
    /// `POST` with a JSON object as its body.
    Json,
    /// `POST` with everything in the query and nothing in the body.
    Query,
    /// `GET` with everything in the query.
    Get,
}

impl Placement {
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Form | Self::Json)
    }
}
