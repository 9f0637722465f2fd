//! One account: what it needs next, and where it goes.
//!
//! In: an account whose turn came, or that was touched by an edit or an answer. Out: its [`Action`]; its place in the
//! queue, in the backlog and in the guard's sum.
//! Invariant: the plan is made anew each time, so stale work cannot exist.

use std::sync::Arc;

use super::Machine;
use crate::account::AccountId;
use crate::change::Change;
use crate::controller::event::{Metric, StateLog};
use crate::desired::DesiredAccount;
use crate::guard::Verdict;
use crate::ledger::{Record, Row};
use crate::plan::{AccountPlan, plan_account};
use crate::queue::Urgency;
use crate::timestamp::Timestamp;

/// What becomes of an account whose turn came.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// This change may go, as far as the account is concerned.
    Put(Change),
    /// Nothing before this moment: an earlier PUT may still take effect.
    RequeueAt(Timestamp),
    /// The disruption budget holds it; of its other field, if that waits, something may go then.
    Hold(Verdict, Option<Timestamp>),
    /// Nothing is left to do.
    Done,
}

impl Machine {
    /// What the account needs at `now`.
    pub(super) fn reconcile(&mut self, account: AccountId, now: Timestamp) -> Action {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        let (due, later): (Vec<_>, Vec<_>) =
            self.backlog.open(account, &plan).into_iter().partition(|change| change.not_before.is_none());
        // One field may be approved and the other not.
        let verdict = self.guard.verdict(self.desired.managed(), now);
        let (held, may): (Vec<_>, Vec<_>) = due.into_iter().partition(|change| verdict.holds(change));
        if let Some(change) = may.into_iter().next() {
            return Action::Put(change);
        }
        match (held.is_empty(), later.iter().filter_map(|change| change.not_before).min()) {
            (false, until) => Action::Hold(verdict, until),
            (true, Some(until)) => Action::RequeueAt(until),
            (true, None) => Action::Done,
        }
    }

    /// Takes an account out of the queue for which nothing can be done now.
    pub(super) fn rest(&mut self, account: AccountId, until: Option<Timestamp>) {
        match until {
            Some(until) => self.queue.defer(account, until),
            None => self.queue.remove(account),
        }
    }

    pub(super) fn hold(&mut self, account: AccountId, verdict: Verdict) {
        if self.backlog.held() == 0 {
            self.log(StateLog::Held(verdict));
        }
        self.backlog.hold(account);
    }

    /// Lets held disruptions go when they fit the budget again.
    pub(super) fn release_held(&mut self, now: Timestamp) {
        if self.backlog.held() == 0 || self.guard.verdict(self.desired.managed(), now).exceeded() {
            return;
        }
        self.log(StateLog::FitsAgain(self.backlog.held()));
        let released = self.backlog.release();
        for account in &released {
            self.touch(*account, released.len(), now);
        }
    }

    /// Plans one account afresh, after an edit of `edited` accounts, and queues it if there is anything it may try.
    pub(super) fn touch(&mut self, account: AccountId, edited: usize, now: Timestamp) {
        let desired = self.desired.get(account);
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, desired, row, now);
        if let Some(until) = desired.and_then(|d| d.spec.suspend.as_ref()?.until).filter(|until| *until > now) {
            self.backlog.wake_at(until, account);
        }
        // What is planned by an approval now is planned otherwise once that has expired.
        let clauses = desired.map_or(&[][..], |desired| desired.clauses);
        for clause in clauses.iter().filter(|clause| clause.expires > now && !plan.changes.is_empty()) {
            self.backlog.wake_at(clause.expires, account);
        }
        if let (Some(desired), Some(row)) = (desired, row) {
            if row.spec_hash != desired.spec_hash {
                self.backlog.unstall(account);
            }
            for record in observations(account, desired, row, &plan).into_iter().flatten() {
                self.record(record, now);
            }
        }
        let open = self.note(account, &plan, now);
        if open.is_empty() {
            self.queue.remove(account);
        } else {
            self.count(Metric::QueueAdded(1));
            self.queue.add(account, urgency(&open), edited, now);
        }
    }

    /// Notes an account's fresh plan wherever it is counted. Returns what of it may be tried.
    fn note(&mut self, account: AccountId, plan: &AccountPlan, now: Timestamp) -> Vec<Change> {
        self.backlog.set(account, plan, now);
        let open = self.backlog.open(account, plan);
        self.guard.set_pending(account, open.iter().any(Change::is_disruption));
        open
    }

    /// Plans the account again, and counts what is open of it.
    pub(super) fn replan(&mut self, account: AccountId, now: Timestamp) -> Vec<Change> {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        self.note(account, &plan, now)
    }

    /// Plans the account again after an attempt: what is left of it goes on at once.
    pub(super) fn step(&mut self, account: AccountId, now: Timestamp) {
        let open = self.replan(account, now);
        if open.is_empty() {
            self.queue.done(account, now);
            self.queue.remove(account);
        } else {
            self.queue.put_back(account, urgency(&open), now);
        }
    }

    /// Looks again at the accounts that are due: their suspensions end, or an approval.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(account) = self.backlog.woken(now) {
            self.touch(account, 1, now);
        }
    }
}

/// What the ledger has to remember of an account that needs no PUT: a version of the manifest it has
/// not seen, and that what the service said is over.
fn observations(account: AccountId, desired: DesiredAccount<'_>, row: &Row, plan: &AccountPlan) -> [Option<Record>; 2] {
    if !plan.changes.is_empty() {
        return [None, None];
    }
    let seen = row.spec_hash == desired.spec_hash && row.name == *desired.name;
    let observed = (!seen).then(|| Record::Observed {
        account,
        name: Arc::clone(desired.name),
        zuid: desired.spec.zuid,
        spec_hash: desired.spec_hash,
    });
    let over = plan.blocked.is_none() && !row.conditions.is_empty();
    [observed, over.then(|| Record::Conditions { account, conditions: Vec::new() })]
}

/// An account that is to lose something goes first, even if it takes a grant to get there.
pub(super) fn urgency(changes: &[Change]) -> Urgency {
    if changes.iter().any(Change::is_disruption) { Urgency::Revocation } else { Urgency::Grant }
}
