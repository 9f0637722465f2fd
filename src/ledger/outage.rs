//! What keeps every request from succeeding, as far as answers tell.
//!
//! In: what several answers tell together. Out: [`Outage`], which survives a restart.
//! Invariant: there is one at a time, the last that was found out; it lasts until an answer tells otherwise, or nothing is
//! left to send. Absent by design: pauses, which say themselves when they end, and a ledger that cannot be written, which
//! cannot be written down.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutageKind {
    /// The credentials do not work.
    CredentialsRefused,
    /// No access token can be had.
    TokenUnavailable,
    /// The service fails the requests of one account after the other.
    ServiceFails,
    /// The service refuses the requests of one account after the other alike, and accepts none: that is one cause.
    RefusesAlike,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outage {
    /// What it is.
    pub kind: OutageKind,
    /// The last answer, in words.
    pub why: Box<str>,
    /// Since when.
    pub since: Timestamp,
    /// How many requests in a row found it so.
    pub failures: u32,
}
