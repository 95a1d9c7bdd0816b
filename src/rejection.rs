//! Functions that decide whether a response is a refusal of the token.
//!
//! They are arguments for [`BearerAuthLayer::rejected_when`](crate::BearerAuthLayer::rejected_when).
//! [`unauthorized`] is the default, [`grpc`] is for tonic.

use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode};

use crate::http::{bearer_error, is_about_the_token};

/// `401 Unauthorized`, unless a Bearer challenge says that the token is not the problem: its
/// `error` (RFC 6750 section 3.1) is `insufficient_scope`, `invalid_request`,
/// `insufficient_claims` or `insufficient_user_authentication` (RFC 9470).
///
/// A 401 without a challenge, or with a challenge of another scheme, is a refusal of the token: many APIs
/// and gateways send just that. `403 Forbidden` never is one (RFC 9110 section 15.5.4).
pub fn unauthorized(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED && !is_contradicted(headers)
}

/// As [`unauthorized`], and for gRPC also the status `UNAUTHENTICATED` (16) in the head of a response,
/// which has the HTTP status 200.
///
/// ```
/// # use tower_bearer::{BearerAuthLayer, Token, fetch_fn, rejection};
/// # let tokens = fetch_fn(async |_| Token::bearer("abc"));
/// let layer = BearerAuthLayer::new(tokens).rejected_when(rejection::grpc);
/// ```
///
/// A server that refuses a call at once sends its status in the head (`Trailers-Only` in the protocol of
/// gRPC over HTTP/2). If there is a `grpc-status`, the HTTP status does not count. If there is none, the
/// HTTP status counts: a proxy's 401 is a refusal of the token too.
///
/// The function looks up one more header in each response.
///
/// It does not see a status in the trailers, since the caller has the response by then. So if a token is
/// refused after the response has begun, the token is not renewed and the call is not repeated.
pub fn grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers.get("grpc-status") {
        Some(status) => status == "16" && !is_contradicted(headers),
        None => unauthorized(status, headers),
    }
}

fn is_contradicted(headers: &HeaderMap) -> bool {
    bearer_error(headers).is_some_and(|error| !is_about_the_token(&error))
}

/// The function of one layer.
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
