//! Was this response a refused token?
//!
//! For [`BearerAuthLayer::rejected_when`](crate::BearerAuthLayer::rejected_when). [`unauthorized`]
//! is the default, [`grpc`] is for tonic.

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
    status == StatusCode::UNAUTHORIZED && !is_contradicted(headers)
}

/// [`unauthorized`], and for gRPC also the status `UNAUTHENTICATED` (16) in the head of a response,
/// which has the HTTP status 200.
///
/// ```
/// # use tower_bearer::{BearerAuthLayer, Token, fetch_fn, rejection};
/// # let tokens = fetch_fn(async |_| Token::bearer("abc"));
/// let layer = BearerAuthLayer::new(tokens).rejected_when(rejection::grpc);
/// ```
///
/// A server that refuses a call at once sends its status there (the `Trailers-Only` of the gRPC over
/// HTTP/2 protocol). Where there is a `grpc-status`, the HTTP status does not count; where there is
/// none, it does: a proxy's 401 is a refused token too.
///
/// Costs each response one more look at its headers.
///
/// A status in the trailers is not seen: by then the response is the caller's. So a token that is
/// refused after a call has begun to answer is neither renewed nor the call repeated.
pub fn grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers.get("grpc-status") {
        Some(status) => status == "16" && !is_contradicted(headers),
        None => unauthorized(status, headers),
    }
}

fn is_contradicted(headers: &HeaderMap) -> bool {
    bearer_error(headers).is_some_and(|error| NOT_THE_TOKEN.contains(&&*error))
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
