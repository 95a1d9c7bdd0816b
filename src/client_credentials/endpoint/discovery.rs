//! Discovery of an issuer's metadata (RFC 8414, OpenID Connect Discovery), for all clients that are
//! made from one description.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{issuer::Issuer, metadata::Metadata, metadata_request};
use crate::{client_credentials::message::HttpClient, error::TokenError};

/// How long to wait for the outcome of another client's request. The runtime that this runs on may
/// stand still.
const PATIENCE: Duration = Duration::from_secs(2);

/// The metadata of one issuer, which all clients that share it read from one place.
pub(crate) struct Discovery {
    issuer: Issuer,
    turn: tokio::sync::Mutex<()>,
    reads: Mutex<Reads>,
}

#[derive(Default)]
struct Reads {
    /// How many have ended.
    ended: u64,
    last: Option<Result<Snapshot, TokenError>>,
    newest: Option<Snapshot>,
}

/// The metadata as one read found it.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) metadata: Arc<Metadata>,
    /// The number of the read. A later one has a higher number.
    pub(super) read: u64,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self { issuer, turn: tokio::sync::Mutex::default(), reads: Mutex::default() }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What is known without a request.
    pub(super) fn newest(&self) -> Option<Snapshot> {
        self.reads().newest.clone()
    }

    /// Reads the metadata. A read that is under way already stands for this one, whatever its
    /// outcome is.
    pub(super) async fn read<C: HttpClient>(
        &self,
        client: impl Fn() -> C,
        limit: usize,
    ) -> Result<Snapshot, TokenError> {
        let ended_before = self.reads().ended;
        let turn = match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => tokio::time::timeout(PATIENCE, self.turn.lock()).await.ok(),
        };
        let outcome_of_another = {
            let reads = self.reads();
            (reads.ended != ended_before).then(|| reads.last.clone()).flatten()
        };
        if let Some(outcome) = outcome_of_another {
            return outcome;
        }
        let outcome = metadata_request::read(&self.issuer, client, limit).await;
        let mut reads = self.reads();
        reads.ended += 1;
        let read = reads.ended;
        let outcome = outcome.map(|metadata| Snapshot { metadata: Arc::new(metadata), read });
        if let Ok(snapshot) = &outcome {
            reads.newest = Some(snapshot.clone());
        }
        reads.last = Some(outcome.clone());
        drop(reads);
        drop(turn);
        outcome
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
