//! One account: what it needs next, and where it goes.
//!
//! In: an account whose turn came, or that was touched by an edit or an answer. Out: its [`Action`]; its place in the
//! queue, in the backlog and in the guard's sum.
//! Invariant: the plan is made anew each time, so stale work cannot exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Machine;
use super::attempts::{Open, due, next};
use crate::account::AccountId;
use crate::change::{Change, Direction};
use crate::controller::event::{Metric, StateLog};
use crate::desired::{DesiredAccount, Standing};
use crate::ledger::{Record, Row};
use crate::plan::{self, AccountPlan, plan_account};
use crate::queue::Urgency;
use crate::status;
use crate::timestamp::Timestamp;

/// What becomes of an account whose turn came.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// This change may go, as far as the account is concerned.
    Put(Change),
    /// Nothing before this moment: an earlier PUT may still take effect.
    RequeueAt(Timestamp),
    /// A budget holds it; of its other field, if that waits, something may go then.
    Hold(Option<Timestamp>),
    /// Nothing is left to do.
    Done,
}

impl Machine {
    /// What the account needs at `now`.
    pub(super) fn reconcile(&mut self, account: AccountId, now: Timestamp) -> Action {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        let wait = |open: &Open| open.change.not_before.max(open.until);
        let (due, later): (Vec<_>, Vec<_>) = self.open(&plan, now).into_iter().partition(|open| wait(open).is_none());
        // One field may be approved and the other not.
        let verdicts = self.guards.verdicts_on(account, self.desired.managed(), now);
        // What was held when a pass began stays so to its end.
        let stays = |change: &Change| {
            self.pass.is_single() && change.needs_budget().is_some_and(|by| self.backlog.is_held_by(account, by))
        };
        let is_held = |open: &Open| verdicts.holding(&open.change).is_some() || stays(&open.change);
        let (held, may): (Vec<_>, Vec<_>) = due.into_iter().partition(is_held);
        // What did not fail goes first: the account may have its turn for that alone, as a fresh edit.
        // Of two that failed, or whose account did, each has its turn.
        let row = self.ledger.accounts.get(&account);
        let tried = |field| row?.failed(field).map(|failed| failed.at);
        if let Some(open) = may.into_iter().min_by_key(|open| (open.failed, tried(open.change.field))) {
            return Action::Put(open.change);
        }
        let later = later.iter().filter_map(wait).min();
        // What was refused before is not pending, so nothing says when it fits: it is looked at again with the window.
        if !self.pass.is_single() && !held.is_empty() && held.iter().all(|open| open.change.refused) {
            let freed =
                self.guards.next_expiry().filter(|freed| *freed > now).unwrap_or(now + self.settings.rejected.min);
            return Action::RequeueAt(later.map_or(freed, |later| later.min(freed)));
        }
        match (held.is_empty(), later) {
            (false, until) => Action::Hold(until),
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

    /// The budget of this direction holds the account, and with it all others that wait for it.
    fn hold(&mut self, account: AccountId, direction: Direction) {
        if self.backlog.held_by(direction) == 0 {
            self.guards.pending(direction).for_each(|pending| self.backlog.hold(pending, direction));
        }
        self.backlog.hold(account, direction);
    }

    /// Lets go what is held and fits its budget again; logs when some is held that was not before.
    pub(super) fn look_at_held(&mut self, now: Timestamp) {
        let verdicts = self.guards.verdicts(self.desired.managed(), now);
        let reads_first = self.reads_first();
        for direction in Direction::ALL {
            let held = self.backlog.held_by(direction);
            let exceeded = verdicts.of(direction).filter(|verdict| verdict.exceeded());
            let logged = &mut self.held_logged[direction as usize];
            if held == 0 {
                *logged = false;
                continue;
            }
            match exceeded {
                Some(verdict) => {
                    // What is read first may show that nothing is to be taken away.
                    if !reads_first && !std::mem::replace(logged, true) {
                        self.log(StateLog::Held(direction, verdict));
                    }
                }
                // A pass is what was planned at its beginning.
                None if self.pass.is_single() => {}
                None => {
                    if std::mem::take(logged) {
                        self.log(StateLog::FitsAgain(direction, held));
                    }
                    let released = self.backlog.release(direction);
                    for account in &released {
                        self.touch(*account, released.len(), now);
                    }
                }
            }
        }
    }

    /// Plans one account afresh, after an edit of `edited` accounts, and queues it if there is anything it may try.
    pub(super) fn touch(&mut self, account: AccountId, edited: usize, now: Timestamp) {
        let desired = self.desired.get(account);
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, desired, row, now);
        let suspended = desired.and_then(|desired| desired.spec.suspend.as_ref()?.until).filter(|until| *until > now);
        let boundary = desired.and_then(|desired| desired.spec.period.as_ref()?.next_boundary(now));
        // What is planned by an approval now is planned otherwise once that has expired.
        let clauses = desired.map_or(&[][..], |desired| desired.clauses);
        let clauses = clauses.iter().filter(|clause| clause.expires > now && !plan.changes.is_empty());
        let moments = [suspended, boundary].into_iter().flatten().chain(clauses.map(|clause| clause.expires));
        self.backlog.wake_at(account, moments.min());
        let is_done = plan.changes.is_empty() && plan.blocked.is_none();
        if let Some(record) = desired.and_then(|desired| observed(account, desired, row, &plan)) {
            self.record(record, now);
        }
        if is_done {
            self.forget_failures(account, now);
        }
        let open = self.note(account, &plan, now);
        match next(&open) {
            _ if open.is_empty() => return self.queue.remove(account),
            Some(until) if due(&open).next().is_none() => self.queue.delay(account, until),
            _ if due(&open).all(|open| open.failed) => self.queue.add_retry(account, now),
            _ => {
                // An edit may be what mends the cause, or be of an account that has none: it does not wait for the next
                // probe, but is it.
                self.throttle.ask_now(now);
                self.queue.add(account, urgency(due(&open)), edited, now);
            }
        }
        self.count(Metric::QueueAdded(1));
    }

    /// Notes an account's fresh plan wherever it is counted. Returns what of it is tried, now or later.
    fn note(&mut self, account: AccountId, plan: &AccountPlan, now: Timestamp) -> Vec<Open> {
        let before = self.ledger.unready.get(&account);
        let unready = plan::unready(plan, self.desired.get(account), before, now);
        if unready.as_ref() != before {
            let ready_since = unready.is_none().then_some(now);
            self.record(Record::Unready { account, unready, ready_since }, now);
        }
        if plan.changes.is_empty() {
            self.throttling.forget(account);
        }
        let since = unready.and_then(|unready| unready.pending_since());
        let is_broken = status::broken_file(account, &self.desired, &self.ledger).is_some();
        self.backlog.set(account, plan, since, is_broken);
        let open = self.open(plan, now);
        let waiting: Vec<_> = open.iter().map(|open| &open.change).filter(|change| !change.refused).collect();
        self.guards.set_pending(account, &waiting);
        let verdicts = self.guards.verdicts(self.desired.managed(), now);
        // Whether it may be tried now or not, who looks at it sees that it is held.
        for direction in Direction::ALL {
            if waiting.iter().all(|change| change.needs_budget() != Some(direction)) {
                self.backlog.let_go(account, direction);
            } else if verdicts.exceeded().any(|(exceeded, _)| exceeded == direction) {
                self.hold(account, direction);
            }
        }
        open
    }

    /// Plans the account again, and counts what is open of it.
    pub(super) fn replan(&mut self, account: AccountId, now: Timestamp) -> Vec<Open> {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        self.note(account, &plan, now)
    }

    /// Plans the account again after an attempt: what is left of it goes on at once.
    pub(super) fn step(&mut self, account: AccountId, now: Timestamp) {
        let open = self.replan(account, now);
        match next(&open) {
            _ if open.is_empty() => {
                self.queue.done(account, now);
                self.queue.remove(account);
            }
            Some(until) if due(&open).next().is_none() => self.queue.retry(account, until, now),
            _ => self.queue.put_back(account, urgency(due(&open)), due(&open).all(|open| open.failed), now),
        }
    }

    /// Looks again at the accounts that are due: their suspensions end, or an approval, or their manifests' periods begin or
    /// end.
    pub(super) fn wake(&mut self, now: Timestamp) {
        let woken: BTreeSet<_> = std::iter::from_fn(|| self.backlog.woken(now)).collect();
        woken.iter().for_each(|account| self.touch(*account, woken.len(), now));
    }
}

/// What the ledger has to remember of an account beside its PUTs: a version of its manifest that needs none, and the file
/// where it moved to another one. An account without a row gets one when its manifest breaks: the next process finds no
/// manifest that declares it.
fn observed(account: AccountId, desired: DesiredAccount<'_>, row: Option<&Row>, plan: &AccountPlan) -> Option<Record> {
    let (name, path) = (Arc::clone(desired.name), &desired.source.path);
    let record = |spec_hash, path| Record::Observed { account, name, zuid: desired.spec.zuid, spec_hash, path };
    let Some(row) = row else {
        let is_broken = desired.standing == Standing::LastGood;
        return is_broken.then(|| record(desired.spec_hash, Some(Arc::clone(path))));
    };
    let moved = (row.source() != Some(path)).then(|| Arc::clone(path));
    // What is to be PUT is seen with its intent.
    let spec_hash = if plan.changes.is_empty() { desired.spec_hash } else { row.spec_hash };
    let is_seen = row.spec_hash == spec_hash && (!plan.changes.is_empty() || row.name == *desired.name);
    (moved.is_some() || !is_seen).then(|| record(spec_hash, moved))
}

/// An account that is to lose something goes first, even if it takes a grant to get there.
fn urgency<'a>(mut open: impl Iterator<Item = &'a Open>) -> Urgency {
    if open.any(|open| open.change.is_disruption()) { Urgency::Revocation } else { Urgency::Grant }
}
