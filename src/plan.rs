//! What is needed: the difference between what is desired and what the service has acknowledged.
//!
//! In: one account's desired state and its ledger row, or all of them. Out: [`Change`]s, ordered,
//! never a no-op, each carrying all that its PUT needs, and the approval that covers it.
//! Invariants: nothing is ever planned that takes something away from a protected account, not even by a last good state
//! from before it was protected; after a fully successful pass the plan is empty; an account without a manifest,
//! with two of them, or suspended gets nothing. Absent by design: budgets and requests; nothing
//! here can write.
//!
//! # Truth table, per field
//!
//! | wanted | known | change |
//! |---|---|---|
//! | not managed | anything | none |
//! | `v` | acknowledged `v` | none |
//! | `v` | acknowledged the other value | PUT `v` |
//! | `v` | never set | PUT `v` |
//! | false, of a protected account | anything | none |
//! | `v` | in doubt | PUT `v`, even if `v` was the last value acknowledged |
//! | `v` | acknowledged `v`, but an earlier PUT of the other value may still land | PUT `v` once it cannot any more |
//!
//! # Order within an account
//!
//! ActiveSync is changed while the mailbox is enabled: a mailbox that comes is enabled first, one
//! that goes is disabled last.

mod later_held;
mod shown;
mod unready;
mod upcoming;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{AccountId, Field};
use crate::change::{Change, Known};
use crate::condition::Reason;
use crate::desired::{DesiredAccount, DesiredState, Standing};
use crate::ledger::{Ledger, Row};
use crate::timestamp::Timestamp;
use crate::validity::Validity;

pub use later_held::{LaterHeld, later_held};
pub use shown::{Difference, Shown, drift_record, shown};
pub use unready::unready;
pub use upcoming::{Upcoming, upcoming};

/// What one account needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPlan {
    /// The PUTs, in the order in which they must be acknowledged; two at most.
    pub changes: Vec<Change>,
    /// Why nothing is planned although something differs, or might.
    pub blocked: Option<Reason>,
    /// What somebody changed elsewhere, and is left as it is.
    pub drifted: Vec<Drifted>,
}

/// A field that the service shows otherwise than it was set, and that is wanted as it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drifted {
    /// Which field.
    pub field: Field,
    /// What the service shows.
    pub found: bool,
    /// Since when, as far as it was read.
    pub since: Timestamp,
    /// It comes back however often it is corrected.
    pub flaps: bool,
}

impl Drifted {
    /// What is wanted.
    pub const fn wanted(&self) -> bool {
        !self.found
    }
}

impl AccountPlan {
    const fn blocked(reason: Reason) -> Self {
        Self { changes: Vec::new(), blocked: Some(reason), drifted: Vec::new() }
    }
}

/// Plans one account at `now`, which decides whether a suspension is over, and whether what the manifest says is valid.
pub fn plan_account(
    account: AccountId,
    desired: Option<DesiredAccount<'_>>,
    row: Option<&Row>,
    now: Timestamp,
) -> AccountPlan {
    let Some(desired) = desired else {
        return AccountPlan { blocked: row.map(|_| Reason::Orphaned), ..AccountPlan::default() };
    };
    match desired.standing {
        Standing::Duplicate { .. } => return AccountPlan::blocked(Reason::DuplicateAccount),
        Standing::Current | Standing::LastGood => {}
    }
    if desired.spec.is_suspended(now) {
        return AccountPlan::blocked(Reason::Suspended);
    }
    let change = |field| change(account, &desired, row, field, now);
    let order = if desired.wanted(Field::Enabled, row, now) == Some(false) {
        [Field::ActiveSyncEnabled, Field::Enabled]
    } else {
        [Field::Enabled, Field::ActiveSyncEnabled]
    };
    let drifted = Field::ALL.into_iter().filter_map(|field| drifted(&desired, row?, field, now)).collect();
    AccountPlan { changes: order.into_iter().filter_map(change).collect(), blocked: None, drifted }
}

fn drifted(desired: &DesiredAccount<'_>, row: &Row, field: Field, now: Timestamp) -> Option<Drifted> {
    let wanted = desired.wanted(field, Some(row), now).filter(|wanted| *wanted || !desired.protected)?;
    let drift = row.drift(field).filter(|drift| drift.found == Some(!wanted))?;
    let is_left = row.known(field) == Known::Applied(wanted);
    is_left.then(|| Drifted { field, found: !wanted, since: drift.since, flaps: drift.flaps(now) })
}

fn change(
    account: AccountId,
    desired: &DesiredAccount<'_>,
    row: Option<&Row>,
    field: Field,
    now: Timestamp,
) -> Option<Change> {
    let to = desired.wanted(field, row, now)?;
    if !to && desired.protected {
        return None;
    }
    // The dates have no say in what is false at any time.
    let validity = desired.validity(row, now).filter(|_| desired.spec.written(field) == Some(true));
    let unsettled = || row?.field(field)?.unsettled_until(to);
    let from = row.map_or(Known::Absent, |row| row.known(field));
    if from == Known::Applied(to) {
        return None;
    }
    let mut change = Change {
        account,
        name: Arc::clone(desired.name),
        zuid: desired.spec.zuid,
        field,
        from,
        to,
        source: desired.source.clone(),
        revision: Arc::clone(desired.revision(field, row, now)),
        approval: None,
        not_before: unsettled().filter(|until| *until > now),
        gives_back: to && row.is_some_and(Row::is_disabled) && desired.wanted(Field::Enabled, row, now) == Some(true),
        begun: !to && row.is_some_and(|row| row.has_begun_removal(field)),
        validity: validity.filter(|validity| *validity != Validity::Valid { since: None }),
        drift: row.and_then(|row| row.drift(field)).filter(|drift| drift.found == Some(!to)).map(|drift| drift.since),
        wanted_since: validity.and_then(Validity::since).filter(|since| *since <= now),
        refused: false,
    };
    let approval = change.direction().and_then(|direction| desired.approval(field, direction, now));
    change.approval = approval.map(|clause| Arc::clone(&clause.approval));
    let told = row.and_then(|row| row.told(&change, desired.spec_hash));
    change.refused = told.is_some_and(|told| told.reason.is_rejection());
    Some(change)
}

/// What all accounts need, ordered by account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The PUTs, those of one account in the order in which they must be acknowledged.
    pub changes: Vec<Change>,
}

/// Plans every declared account at `now`.
pub fn plan(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Plan {
    let changes = desired
        .iter()
        .flat_map(|(id, account)| plan_account(id, Some(account), ledger.accounts.get(&id), now).changes)
        .collect();
    Plan { changes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{MailAccountSpec, SourceRef, Suspend};
    use crate::ledger::{FieldState, Owner, Record};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id() -> AccountId {
        AccountId::new(7).unwrap()
    }

    fn spec(enabled: Option<bool>, active_sync_enabled: Option<bool>) -> MailAccountSpec {
        MailAccountSpec {
            account_id: id(),
            zuid: None,
            email: None,
            enabled,
            active_sync_enabled,
            suspend: None,
            period: None,
        }
    }

    /// Plans for a manifest with `spec` in a file called `alice.yaml`.
    fn planned(spec: &MailAccountSpec, standing: Standing<'_>, row: Option<&Row>, now: Timestamp) -> AccountPlan {
        let (name, source) = (Arc::from("alice"), SourceRef { path: "alice.yaml".into(), line: 1 });
        let revisions = Default::default();
        let desired = DesiredAccount {
            name: &name,
            spec,
            source: &source,
            revisions: &revisions,
            spec_hash: 1,
            standing,
            protected: false,
            clauses: &[],
        };
        plan_account(id(), Some(desired), row, now)
    }

    fn ledger(known: [(Field, Known); 2]) -> Ledger {
        let mut ledger = Ledger::new(Owner::User);
        for (field, known) in known {
            if known == Absent {
                continue;
            }
            let (account, source) = (id(), SourceRef { path: "alice.yaml".into(), line: 1 });
            ledger.apply(Record::Intent {
                at: NOW,
                account,
                name: "alice".into(),
                zuid: None,
                field,
                to: true,
                spec_hash: 1,
                lands_by: None,
                cause: None,
            });
            if let Applied(value) = known {
                ledger.apply(Record::Applied { at: NOW, account, field, value, source, evidence: None });
            }
        }
        ledger
    }

    fn check(spec: &MailAccountSpec, known: [(Field, Known); 2], expected: &str) {
        let ledger = ledger(known);
        let planned = planned(spec, Standing::Current, ledger.accounts.get(&id()), NOW);
        let printed: Vec<_> = planned.changes.iter().map(|c| format!("{} {} -> {}", c.field, c.from, c.to)).collect();
        assert_eq!(printed.join(", "), expected);
    }

    use Field::{ActiveSyncEnabled as A, Enabled as E};
    use Known::{Absent, Applied, InDoubt};

    #[test]
    fn the_truth_table_holds_for_each_field() {
        let enabled = spec(Some(true), None);
        check(&enabled, [(E, Applied(true)), (A, InDoubt)], "");
        check(&enabled, [(E, Applied(false)), (A, Absent)], "enabled false -> true");
        check(&enabled, [(E, Absent), (A, Absent)], "enabled (unknown) -> true");
        check(&enabled, [(E, InDoubt), (A, Absent)], "enabled (in doubt) -> true");
        let sync_off = spec(None, Some(false));
        check(&sync_off, [(E, InDoubt), (A, Applied(false))], "");
        check(&sync_off, [(E, Absent), (A, Applied(true))], "activeSyncEnabled true -> false");
        check(&sync_off, [(E, Absent), (A, InDoubt)], "activeSyncEnabled (in doubt) -> false");
    }

    #[test]
    fn what_may_be_undone_by_an_earlier_put_is_planned_for_when_it_cannot_any_more() {
        let until = Timestamp::from_millis(2_000_000);
        let mut ledger = ledger([(E, InDoubt), (A, Absent)]);
        let row = ledger.accounts.get_mut(&id()).unwrap();
        let source = SourceRef { path: "alice.yaml".into(), line: 1 };
        row.enabled = Some(FieldState::Unsettled { value: true, applied_at: NOW, source, revision: None, until });
        let moment =
            |enabled, now| planned(&spec(Some(enabled), None), Standing::Current, Some(row), now).changes[0].not_before;
        assert_eq!(moment(true, NOW), Some(until));
        assert_eq!(moment(true, until), None);
        assert_eq!(moment(false, NOW), None, "what is wanted now does not wait");
    }

    #[test]
    fn a_mailbox_is_enabled_first_and_disabled_last() {
        let both = [(E, Absent), (A, Absent)];
        let printed = "enabled (unknown) -> true, activeSyncEnabled (unknown) -> false";
        check(&spec(Some(true), Some(false)), both, printed);
        let printed = "activeSyncEnabled (unknown) -> true, enabled (unknown) -> false";
        check(&spec(Some(false), Some(true)), both, printed);
    }

    #[test]
    fn nothing_is_planned_for_orphans_duplicates_and_the_suspended() {
        let known = ledger([(E, Applied(true)), (A, Absent)]);
        let row = known.accounts.get(&id());
        let orphan = plan_account(id(), None, row, NOW);
        assert_eq!(orphan, AccountPlan::blocked(Reason::Orphaned));
        assert_eq!(plan_account(id(), None, None, NOW), AccountPlan::default());

        let other = SourceRef { path: "b.yaml".into(), line: 1 };
        let both_off = spec(Some(false), Some(false));
        let twice = planned(&both_off, Standing::Duplicate { other: &other }, row, NOW);
        assert_eq!(twice, AccountPlan::blocked(Reason::DuplicateAccount));

        let until = Timestamp::from_millis(2_000_000);
        let suspended =
            MailAccountSpec { suspend: Some(Box::new(Suspend { reason: None, until: Some(until) })), ..both_off };
        assert_eq!(planned(&suspended, Standing::Current, row, NOW), AccountPlan::blocked(Reason::Suspended));
        assert_eq!(planned(&suspended, Standing::Current, row, until).changes.len(), 2);
    }

    #[test]
    fn a_broken_manifest_keeps_reconciling_its_last_good_state() {
        let plan = planned(&spec(Some(true), None), Standing::LastGood, None, NOW);
        assert_eq!(plan.changes.len(), 1);
    }
}
