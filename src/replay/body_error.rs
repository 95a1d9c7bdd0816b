//! The errors of a body that an attempt cannot read to its end.

use std::{error::Error, fmt};

/// Why an attempt's body ends before its time. An error and not an end, so that no server takes
/// what it has for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TakenOver,
    Failed,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenOver => {
                "the request's body is cut off, as a second attempt with another token sends it"
            }
            Self::Failed => "the request's body has failed before",
        })
    }
}

impl Error for BodyError {}
