//! The disruption budgets that manifests declare, as they were last read.
//!
//! In: what a pass over the folder declares. Out: [`DeclaredBudget`]s, which survive a restart: a file that declared a
//! budget and is broken when the next process reads it keeps that budget.
//! Invariant: what a manifest leaves to the options is left to the options of the next process as well.
//! Absent by design: which budget counts (see [`crate::desired`]).

use serde::{Deserialize, Serialize};

use crate::account::SourceRef;
use crate::manifest::Budget;

/// A `DisruptionBudget`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredBudget {
    /// The document.
    pub source: SourceRef,
    /// Its `spec`.
    pub spec: Budget,
}
