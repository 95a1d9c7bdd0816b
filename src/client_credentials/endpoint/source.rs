use std::sync::Arc;

use super::{
    discovery::{Discovery, Trust},
    resolved::Place,
};

/// Where token requests go.
#[derive(Debug)]
pub(crate) enum Destination {
    Known(Arc<Place>),
    Discovered(Box<Discovery>),
}

impl Destination {
    /// A token request is sent there.
    pub(crate) fn doubt(&self) {
        match self {
            Self::Known(_) => {}
            Self::Discovered(discovery) => discovery.rate(Trust::Doubtful),
        }
    }

    /// It was not the place that was wrong, if anything was.
    pub(crate) fn trust(&self) {
        match self {
            Self::Known(_) => {}
            Self::Discovered(discovery) => discovery.rate(Trust::Good),
        }
    }
}
