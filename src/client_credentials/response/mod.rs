//! How a token endpoint's response is read: a token, or an error that says why there is none.

mod error_response;
mod fields;
mod json_pointer;
mod options;
mod reader;
mod token_response;

pub(super) use self::{
    error_response::{ErrorHints, is_transient},
    json_pointer::JsonPointer,
    options::ResponseOptions,
    reader::{ResponseReader, with_retry_after},
};
