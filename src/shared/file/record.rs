//! What lies under a key: a token, and who may replace it. It has no clock: `now` is an argument.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use crate::shared::store::StoreEntry;

/// Written as a line of JSON, and the bytes of the token after it.
#[derive(Debug, Default)]
pub(super) struct Record {
    lock: Option<Lock>,
    entry: Option<Entry>,
    value: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    lock: Option<Lock>,
    entry: Option<Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lock {
    owner: String,
    since: Moment,
    lease: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    since: Moment,
    expires_in: Duration,
    length: usize,
}

const VERSION: u32 = 1;

impl Record {
    /// What cannot be read is as good as nothing.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self::try_parse(bytes).unwrap_or_default()
    }

    fn try_parse(bytes: &[u8]) -> Option<Self> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let (head, value) = (&bytes[..line], &bytes[line + 1..]);
        let head: Head = serde_json::from_slice(head).ok()?;
        let length = head.entry.as_ref().map_or(0, |entry| entry.length);
        (head.version == VERSION && length == value.len()).then(|| Self {
            lock: head.lock,
            entry: head.entry,
            value: Bytes::copy_from_slice(value),
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let head = Head { version: VERSION, lock: self.lock.clone(), entry: self.entry.clone() };
        let mut bytes = serde_json::to_vec(&head)
            .expect("these types have no map and no number that JSON lacks");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.value);
        bytes
    }

    pub(super) fn entry(&self, now: &Moment) -> Option<StoreEntry> {
        let entry = self.entry.as_ref()?;
        let left = remaining(entry.expires_in, &entry.since, now)?;
        Some(StoreEntry::new(self.value.clone(), left))
    }

    pub(super) fn lock(&mut self, owner: String, lease: Duration, now: Moment) -> bool {
        if self.owner(&now).is_some_and(|other| other != owner) {
            return false;
        }
        self.lock = Some(Lock { owner, since: now, lease });
        true
    }

    pub(super) fn store(
        &mut self,
        owner: &str,
        value: Bytes,
        expires_in: Duration,
        now: Moment,
    ) -> bool {
        if !self.unlock(owner, &now) {
            return false;
        }
        self.entry = Some(Entry { since: now, expires_in, length: value.len() });
        self.value = value;
        true
    }

    pub(super) fn unlock(&mut self, owner: &str, now: &Moment) -> bool {
        let owned = self.owner(now) == Some(owner);
        if owned {
            self.lock = None;
        }
        owned
    }

    pub(super) fn is_in_use(&self, now: &Moment) -> bool {
        self.owner(now).is_some() || self.entry(now).is_some()
    }

    fn owner(&self, now: &Moment) -> Option<&str> {
        let lock = self.lock.as_ref()?;
        remaining(lock.lease, &lock.since, now).map(|_| &*lock.owner)
    }
}

/// What is left of `time`, unless that is nothing or unknown.
fn remaining(time: Duration, since: &Moment, now: &Moment) -> Option<Duration> {
    time.checked_sub(now.since(since)?).filter(|left| !left.is_zero())
}
