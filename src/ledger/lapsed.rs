//! Approvals that are over, though the wall clock may not say so any more.
//!
//! In: steps back of the wall clock, and what the folder holds then. Out: [`Lapsed`], which survives a restart.
//! Invariants: an approval that was over once is in it until its end is past by the clock of now; one that is written
//! after the step is not. Absent by design: what an approval lets through (see [`crate::desired`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Names and ends of approvals: together they tell an approval from one that is written anew.
pub type Ends = BTreeSet<(Arc<str>, Timestamp)>;

/// Approvals that are over whatever the clock says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lapsed {
    /// Those that are known.
    #[serde(default, skip_serializing_if = "Ends::is_empty")]
    pub approvals: Ends,
    /// What the clock said before it went back, until the approvals that were over by then are known: the folder has to be
    /// read for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Timestamp>,
}

impl Lapsed {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.approvals.is_empty() && self.by.is_none()
    }

    /// The clock went back from `from`.
    pub(super) fn went_back(&mut self, from: Timestamp) {
        self.by = self.by.max(Some(from));
    }
}
