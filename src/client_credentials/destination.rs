use std::sync::Arc;

use super::{discovery::Discovery, place::Place};

/// Where token requests go.
#[derive(Debug)]
pub(super) enum Destination {
    Known(Arc<Place>),
    Discovered(Box<Discovery>),
}

impl Destination {
    /// A token request failed in a way that another place may mend.
    pub(super) fn doubt(&self) {
        match self {
            Self::Known(_) => {}
            Self::Discovered(discovery) => discovery.doubt(),
        }
    }
}
