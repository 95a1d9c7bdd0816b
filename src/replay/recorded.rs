//! What is recorded of a body while the first attempt reads it.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// The frames that the first attempt has read, for a second attempt.
#[derive(Default)]
pub(super) struct Recorded {
    data: VecDeque<Bytes>,
    bytes: usize,
    /// Boxed, as few bodies have any, and this is made for every body.
    trailers: Option<Box<HeaderMap>>,
    room: usize,
}

impl Recorded {
    pub(super) fn with_limit(limit: usize) -> Self {
        Self { room: limit, ..Self::default() }
    }

    /// Shares the data of `frame`, or says that there is no room for all of it.
    pub(super) fn record(&mut self, frame: &Frame<Bytes>) -> bool {
        if self.trailers.is_some() {
            // Trailers come last (RFC 9110 section 6.5). What else this is cannot be told again.
            return false;
        }
        if let Some(data) = frame.data_ref() {
            // Without this, empty frames would be recorded without end.
            if data.is_empty() {
                return true;
            }
            let Some(room) = self.room.checked_sub(data.len()) else { return false };
            self.room = room;
            self.bytes += data.len();
            self.data.push_back(data.clone());
            true
        } else if let Some(trailers) = frame.trailers_ref() {
            let Some(room) = self.room.checked_sub(size(trailers)) else { return false };
            self.room = room;
            self.trailers = Some(Box::new(trailers.clone()));
            true
        } else {
            false
        }
    }

    /// The frames as they came, without the empty ones.
    pub(super) fn pop(&mut self) -> Option<Frame<Bytes>> {
        match self.data.pop_front() {
            Some(data) => {
                self.bytes -= data.len();
                Some(Frame::data(data))
            }
            None => self.trailers.take().map(|trailers| Frame::trailers(*trailers)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    /// How much data there is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(trailers: &HeaderMap) -> usize {
    trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
