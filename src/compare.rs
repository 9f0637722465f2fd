//! What a branch changes: the difference between what its base wants and what it wants itself.
//!
//! In: the desired states of a base and of a branch; a plan that knows the ledger, and one that knows the base. Out: the
//! base as a ledger, [`Remark`]s and [`Safety`] remarks on what changes without a PUT, a [`Split`] of what the branch explains, a digest.
//! Invariants: the base stands for a service that has all that the base asks for, and nothing else; an account that the
//! base suspends or declares twice is unknown, for nobody can tell whether it was PUT; what is said of an account does
//! not depend on any other. Absent by design: budgets (see [`crate::guard`]), files, and how it is printed.

mod digest;
mod remark;
mod safety;

use std::collections::BTreeSet;

use crate::account::{AccountId, Field};
use crate::change::Change;
use crate::desired::DesiredState;
use crate::ledger::{FieldState, Ledger, Owner, Row};
use crate::plan::plan;
use crate::timestamp::Timestamp;

pub use digest::{digest, parse_digest};
pub use remark::{Note, Remark, remarks};
pub use safety::{Safety, safety};

/// The ledger that a daemon would keep at `now` if all that `base` asks for had just been applied.
///
/// It is nobody's: it remembers no request and no disruption, and must not be written.
pub fn as_applied(base: &DesiredState, now: Timestamp) -> Ledger {
    let mut ledger = Ledger { budgets: base.declared_budgets(), ..Ledger::new(Owner::User) };
    for change in plan(base, &ledger, now).changes {
        let row = ledger.accounts.entry(change.account).or_insert_with(|| Row {
            name: change.name,
            zuid: change.zuid,
            enabled: None,
            active_sync_enabled: None,
            observed_generation: 0,
            spec_hash: 0,
            enabled_failed: None,
            active_sync_failed: None,
            enabled_drift: None,
            active_sync_drift: None,
            ready_since: None,
            valid_until: None,
            file: None,
            not_begun: false,
        });
        if change.field == Field::Enabled {
            row.begins_or_not(change.from, change.to, change.validity);
        }
        let slot = match change.field {
            Field::Enabled => &mut row.enabled,
            Field::ActiveSyncEnabled => &mut row.active_sync_enabled,
        };
        *slot = Some(FieldState::Applied { value: change.to, applied_at: now, source: change.source, revision: None });
    }
    ledger
}

/// What of a plan is a branch's doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Changes of the plan that the branch does not ask for: pending before it, and without it.
    pub unexplained: BTreeSet<(AccountId, Field)>,
    /// Changes of the branch that need no PUT: the ledger has them already.
    pub settled: Vec<Change>,
}

/// Compares the plan that knows the ledger with the `branch`'s, which knows the base. Both are for the same desired state.
pub fn split<'c>(plan: impl Iterator<Item = &'c Change>, branch: Vec<Change>) -> Split {
    let key = |change: &Change| (change.account, change.field);
    let planned: BTreeSet<_> = plan.map(key).collect();
    let of_branch: BTreeSet<_> = branch.iter().map(key).collect();
    let settled = branch.into_iter().filter(|change| !planned.contains(&key(change))).collect();
    Split { unexplained: planned.difference(&of_branch).copied().collect(), settled }
}

#[cfg(test)]
mod tests;
