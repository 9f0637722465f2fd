//! The single pass: what it sets out to do, and what it came to.
//!
//! In: the plan when the folder was read; the machine's state at the end. Out: a [`Summary`].
//! Invariants: planned = applied + held + failed + in doubt; a pass makes no change that it did not set out to make, and
//! lets none go that a budget held at its beginning.

use std::collections::BTreeSet;

use super::{Blocked, Machine};
use crate::account::{AccountId, Field};
use crate::change::{Change, Known};
use crate::controller::Mode;
use crate::plan::{plan, plan_account};
use crate::report::{Summary, Unapplied};
use crate::status;
use crate::timestamp::Timestamp;

/// What is remembered of the single pass; a daemon makes none.
#[derive(Debug)]
pub(super) struct Pass {
    is_single: bool,
    planned: Vec<Change>,
    /// The account, the field and the value of each change that is planned.
    may: BTreeSet<(AccountId, Field, bool)>,
    /// The changes that were reviewed, if it may make no others.
    reviewed: Option<BTreeSet<(AccountId, Field, bool)>>,
    gave_up: Option<String>,
}

impl Pass {
    pub(super) fn new(mode: Mode) -> Self {
        let (planned, may) = (Vec::new(), BTreeSet::new());
        Self { is_single: mode != Mode::Run, planned, may, reviewed: None, gave_up: None }
    }

    /// It makes none but these changes.
    pub(super) fn restrict(&mut self, reviewed: BTreeSet<(AccountId, Field, bool)>) {
        self.reviewed = Some(reviewed);
    }

    /// Sets out to make these changes.
    fn set_out(&mut self, planned: Vec<Change>) {
        let key = |change: &Change| (change.account, change.field, change.to);
        let may = |change: &Change| self.reviewed.as_ref().is_none_or(|reviewed| reviewed.contains(&key(change)));
        self.planned = planned.into_iter().filter(may).collect();
        self.may = self.planned.iter().map(key).collect();
    }

    /// Whether it may make the change: what a date brings while it runs is for the next one. A daemon may make any.
    pub(super) fn may_try(&self, change: &Change) -> bool {
        !self.is_single || self.may.contains(&(change.account, change.field, change.to))
    }

    /// Whether the controller ends with it.
    pub(super) const fn is_single(&self) -> bool {
        self.is_single
    }

    /// The accounts of the changes that it set out to make.
    pub(super) fn accounts(&self) -> BTreeSet<AccountId> {
        self.planned.iter().map(|change| change.account).collect()
    }

    /// How many changes it set out to make.
    pub(super) fn planned(&self) -> usize {
        self.planned.len()
    }

    /// The daemon waits; a single pass ends, with everything that is left counted as failed.
    pub(super) fn give_up(&mut self, why: impl FnOnce() -> String) {
        if self.is_single {
            self.gave_up = Some(why());
        }
    }

    /// Why it ended early.
    pub(super) fn gave_up(&self) -> Option<&str> {
        self.gave_up.as_deref()
    }
}

impl Machine {
    /// Remembers what the single pass sets out to do.
    pub(super) fn note_plan(&mut self, now: Timestamp) {
        if self.pass.is_single {
            self.pass.set_out(plan(&self.desired, &self.ledger, now).changes);
        }
    }

    /// What became of everything that was planned.
    pub fn summary(&mut self, now: Timestamp) -> Summary {
        let mut summary = Summary {
            planned: self.pass.planned.len(),
            verdicts: self.guards.verdicts(self.desired.managed(), now),
            gave_up: self.pass.gave_up.clone(),
            budget: self.budget.clone(),
            ..Summary::default()
        };
        let suspended = self.blocked(now).any(|blocked| matches!(blocked, Blocked::Suspended(_)));
        for change in std::mem::take(&mut self.pass.planned) {
            let known = self.ledger.known(change.account, change.field);
            if known == Known::Applied(change.to) {
                summary.applied += 1;
                continue;
            }
            let held = self.backlog.is_held(change.account) && self.needs_budget(&change, now);
            let why = self.why(&change, held, &summary, now);
            let unapplied = Unapplied { change, why };
            match known {
                _ if held => summary.held.push(unapplied),
                Known::InDoubt => summary.in_doubt.push(unapplied),
                _ if suspended => summary.held.push(unapplied),
                Known::Absent | Known::Applied(_) => summary.failed.push(unapplied),
            }
        }
        summary
    }

    /// Whether the change, planned when the pass began, can be held now: approvals expire.
    fn needs_budget(&self, change: &Change, now: Timestamp) -> bool {
        let desired = self.desired.get(change.account);
        let approved =
            |direction| desired.is_some_and(|desired| desired.approval(change.field, direction, now).is_some());
        let counted = change.direction().filter(|direction| !approved(*direction));
        counted.is_some_and(|direction| self.backlog.held_by(direction) > 0)
    }

    fn why(&self, change: &Change, held: bool, summary: &Summary, now: Timestamp) -> String {
        if held {
            let by = change.direction().and_then(|direction| Some((direction, summary.verdicts.of(direction)?)));
            return by.map_or_else(String::new, |(by, verdict)| {
                let since = if verdict.exceeded() { "" } else { " when the pass began; it fits now, so apply again" };
                format!("held by the {}{since} ({verdict})", by.budget())
            });
        }
        let row = self.ledger.accounts.get(&change.account);
        if let Some(until) = row.and_then(|row| row.field(change.field)?.unsettled_until(change.to)) {
            return status::unsettled(until);
        }
        let plan = plan_account(change.account, self.desired.get(change.account), row, now);
        if !plan.changes.iter().any(|planned| (planned.field, planned.to) == (change.field, change.to)) {
            return "not attempted: a date of its manifest passed, and it is wanted no more; the next apply sends what is"
                .to_owned();
        }
        match (self.failed(change), &summary.gave_up) {
            (Some(failed), _) => format!("{}: {}: {}", failed.reason, status::attempt(change), failed.message),
            (None, Some(_)) => "not attempted: the pass gave up".to_owned(),
            (None, None) => "not attempted: the pass was stopped".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_pass_gives_up() {
        let gave_up = |mode| {
            let mut pass = Pass::new(mode);
            pass.give_up(|| "it throttles".to_owned());
            pass.gave_up().map(str::to_owned)
        };
        assert_eq!([Mode::Run, Mode::Apply].map(gave_up), [None, Some("it throttles".to_owned())]);
    }
}
