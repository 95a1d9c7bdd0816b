//! Was this response a refused token?
//!
//! For [`BearerAuthLayer::rejected_when`](crate::BearerAuthLayer::rejected_when). [`unauthorized`]
//! is the default.

use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode};

use crate::challenge::bearer_error;

/// What a Bearer challenge may say that another token of the same kind cannot mend.
const NOT_THE_TOKEN: [&str; 4] = [
    "insufficient_scope",
    "invalid_request",
    "insufficient_claims",
    "insufficient_user_authentication",
];

/// `401 Unauthorized`, unless a Bearer challenge says that the token is not the problem: its
/// `error` (RFC 6750 section 3.1) is `insufficient_scope`, `invalid_request`,
/// `insufficient_claims` or `insufficient_user_authentication` (RFC 9470).
///
/// A 401 with no challenge, or with one of another scheme, is a refused token: many APIs and
/// gateways send just that. `403 Forbidden` never is (RFC 9110 section 15.5.4).
pub fn unauthorized(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        && bearer_error(headers).is_none_or(|error| !NOT_THE_TOKEN.contains(&&*error))
}

/// How a layer decides.
#[derive(Clone)]
pub(crate) enum Rejection {
    Unauthorized,
    Custom(Arc<Predicate>),
}

type Predicate = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

impl Rejection {
    #[inline]
    pub(crate) fn is_in(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        match self {
            Self::Unauthorized => unauthorized(status, headers),
            Self::Custom(rejected) => rejected(status, headers),
        }
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "Unauthorized",
            Self::Custom(_) => "Custom",
        })
    }
}
