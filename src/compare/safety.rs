//! What a branch changes about what may be taken away: the budget, approvals.
//!
//! In: the desired states of a base and of a branch, the branch's changes, and what the options allow. Out: [`Safety`] remarks: the budget
//! first, then approvals by name.
//! Invariant: whatever lets a disruption through that would be held without the branch, or holds one, is told.
//! Deliberately absent: protected accounts, which are remarks of their own (see [`super::remark`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::SourceRef;
use crate::change::Change;
use crate::desired::DesiredState;
use crate::guard::{Allowance, InForce};
use crate::manifest::Approval;
use crate::timestamp::Timestamp;

/// Something that a branch changes about what may be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "note", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Safety {
    /// Another disruption budget is in force.
    Budget {
        /// The base's, in words.
        from: String,
        /// The branch's, in words.
        to: String,
    },
    /// It approves of disruptions, or of others than before.
    Approves {
        /// `metadata.name` of the approval.
        name: Arc<str>,
        /// Where it stands.
        source: SourceRef,
        /// Why, in the words of the approval.
        reason: Box<str>,
        /// When it ends.
        expires: Timestamp,
        /// Whether that moment has come: then it approves nothing.
        expired: bool,
        /// Whether it lets mailboxes come back, and takes nothing away.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        #[schemars(default)]
        grants: bool,
        /// How many fields of accounts it names.
        disruptions: usize,
        /// How many of those the branch itself takes away: who approves of them approves of both at once.
        arriving: usize,
        /// Whether the base has an approval of that name, which says something else.
        changed: bool,
    },
    /// It approves no more of what the base approved of.
    Withdraws {
        /// `metadata.name` of the approval.
        name: Arc<str>,
        /// Where it stood.
        source: SourceRef,
    },
}

/// What differs between `base` and `head` of what may be taken away, where nothing else is said by `options`. `changes`:
/// what the branch asks for at `now`.
pub fn safety(
    base: &DesiredState,
    head: &DesiredState,
    options: Allowance,
    changes: &[Change],
    now: Timestamp,
) -> Vec<Safety> {
    let (from, to) = (told(&base.budget(options)), told(&head.budget(options)));
    let budget = (from != to).then_some(Safety::Budget { from, to });
    let of = |desired: &DesiredState| -> BTreeMap<Arc<str>, (SourceRef, Approval)> {
        let all = desired.approvals();
        all.map(|(name, source, approval)| (Arc::clone(name), (source.clone(), approval.clone()))).collect()
    };
    let (before, after) = (of(base), of(head));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let approvals = names.into_iter().filter_map(|name| match (before.get(name), after.get(name)) {
        (Some((_, before)), Some((_, after))) if before == after => None,
        (before, Some((source, approval))) => {
            let Approval { reason, expires, grants, accounts } = approval.clone();
            let fields = accounts.iter().flat_map(|account| account.fields);
            Some(Safety::Approves {
                name: Arc::clone(name),
                source: source.clone(),
                reason,
                expires,
                expired: head.is_over(name, expires, now),
                grants,
                disruptions: fields.filter(|named| *named).count(),
                arriving: changes.iter().filter(|change| change.approval.as_ref() == Some(name)).count(),
                changed: before.is_some(),
            })
        }
        (Some((source, _)), None) => Some(Safety::Withdraws { name: Arc::clone(name), source: source.clone() }),
        (None, None) => None,
    });
    budget.into_iter().chain(approvals).collect()
}

/// What counts of a budget. Where it stands in its file does not.
fn told(InForce { allowance: Allowance { max, max_grants, window }, manifest, unclear, .. }: &InForce) -> String {
    let grants = max_grants.0.map_or_else(String::new, |grants| format!(" ({grants} come back)"));
    match (unclear, manifest) {
        (Some(why), _) => format!("nothing, until it is clear which budget counts: {why}"),
        (None, Some(SourceRef { path, .. })) => {
            format!("{max}{grants} in {}, by {path}", humantime::format_duration(*window))
        }
        (None, None) => format!("{max}{grants} in {}, by the options", humantime::format_duration(*window)),
    }
}
