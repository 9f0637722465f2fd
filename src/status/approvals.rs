//! What approvals still let through.
//!
//! In: the desired state and the ledger. Out: [`ApprovalStatus`]es, one for each approval that counts.
//! Invariant: costs what the approvals name, whatever the number of accounts.

use std::sync::Arc;

use serde::Serialize;

use crate::account::{Field, SourceRef};
use crate::desired::DesiredState;
use crate::ledger::Ledger;
use crate::manifest::Approval;
use crate::plan::plan_account;
use crate::timestamp::Timestamp;

/// What became of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Where it is declared.
    pub source: SourceRef,
    /// Why, in its author's words.
    pub reason: Box<str>,
    /// From this moment on it lets nothing through.
    pub expires: Timestamp,
    /// Whether that moment has come.
    pub expired: bool,
    /// Whether it lets mailboxes come back, and takes nothing away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grants: bool,
    /// How many changes it names.
    pub disruptions: usize,
    /// How many of them are wanted and not acknowledged, and covered by it now.
    pub open: usize,
}

/// The status of every approval at `now`, ordered by name.
pub fn approvals(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Vec<ApprovalStatus> {
    let status = |(name, source, approval): (&Arc<str>, &SourceRef, &Approval)| {
        let accounts = approval.accounts.iter().flat_map(|approved| desired.named(&approved.name));
        let planned = accounts.flat_map(|id| plan_account(id, desired.get(id), ledger.accounts.get(&id), now).changes);
        let fields = |fields: [bool; 2]| Field::ALL.iter().filter(|field| fields[**field as usize]).count();
        ApprovalStatus {
            name: Arc::clone(name),
            source: source.clone(),
            reason: approval.reason.clone(),
            expires: approval.expires,
            expired: desired.is_over(name, approval.expires, now),
            grants: approval.grants,
            disruptions: approval.accounts.iter().map(|approved| fields(approved.fields)).sum(),
            open: planned.filter(|change| change.approval.as_ref() == Some(name)).count(),
        }
    };
    desired.approvals().map(status).collect()
}
