//! What was told, across restarts: a few lines of JSON beside the ledger.
//!
//! In: the file's bytes, notices that were told. Out: the same, as bytes.
//! Invariants: bounded, whatever was told; nothing of it lies in the future, for a clock that was set back must not make
//! it silent; no name and no word of a stranger is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cause, HOUR, POSTS_MAX};
use crate::manifest::API_VERSION;
use crate::timestamp::{ClockStep, Timestamp};

/// `kind` of the file.
const KIND: &str = "NotificationMemory";

/// When a cause was told, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Told {
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
    pub(super) accounts: usize,
}

/// What was told and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    api_version: String,
    kind: String,
    pub(super) told: BTreeMap<Cause, Told>,
    /// Since when there is trouble that was told; until it was told that all is well.
    pub(super) troubled_since: Option<Timestamp>,
    /// When something was last said, or tried to.
    posts: Vec<Timestamp>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            told: BTreeMap::new(),
            troubled_since: None,
            posts: Vec::new(),
        }
    }
}

impl Memory {
    /// What the file's bytes say, at `now`.
    ///
    /// # Errors
    ///
    /// Why they are not what this program wrote.
    pub fn from_bytes(bytes: &[u8], now: Timestamp) -> Result<Self, String> {
        let mut memory: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if (&*memory.api_version, &*memory.kind) != (API_VERSION, KIND) {
            return Err(format!("expected apiVersion {API_VERSION} and kind {KIND}"));
        }
        for Told { since, at, accounts: _ } in memory.told.values_mut() {
            (*since, *at) = ((*since).min(now), (*at).min(now));
        }
        memory.troubled_since = memory.troubled_since.map(|since| since.min(now));
        memory.posts.iter_mut().for_each(|at| *at = (*at).min(now));
        memory.posts.truncate(POSTS_MAX);
        Ok(memory)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, moments and constants alone: there is nothing that could fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn carry(&mut self, step: ClockStep) {
        let told = self.told.values_mut().flat_map(|told| [&mut told.since, &mut told.at]);
        told.chain(&mut self.troubled_since).chain(&mut self.posts).for_each(|at| *at = step.carry(*at));
    }

    pub(super) fn posts_within_hour(&self, now: Timestamp) -> usize {
        self.posts.iter().filter(|at| now.since(**at) < HOUR).count()
    }

    pub(super) fn posted(&mut self, now: Timestamp) {
        self.posts.retain(|at| now.since(*at) < HOUR);
        self.posts.push(now);
    }
}
