use std::sync::Arc;

use super::{
    discovery::{Discovery, Trust},
    place::Place,
};

/// Where token requests go.
#[derive(Debug)]
pub(super) enum Destination {
    Known(Arc<Place>),
    Discovered(Box<Discovery>),
}

impl Destination {
    /// A token request is sent there.
    pub(super) fn doubt(&self) {
        match self {
            Self::Known(_) => {}
            Self::Discovered(discovery) => discovery.rate(Trust::Doubtful),
        }
    }

    /// It was not the place that was wrong, if anything was.
    pub(super) fn trust(&self) {
        match self {
            Self::Known(_) => {}
            Self::Discovered(discovery) => discovery.rate(Trust::Good),
        }
    }
}
