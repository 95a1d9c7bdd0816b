//! How a token endpoint's response is read: a token, or an error that says why there is none.

mod error_hints;
pub(super) mod error_response;
mod fields;
mod json_pointer;
mod options;
mod reader;
pub(super) mod retry_after;
mod token_response;

pub(super) use self::{
    error_hints::Advice,
    json_pointer::Pointer,
    options::{Reading, Rigour, Unit, Zero},
    reader::Reader,
};
