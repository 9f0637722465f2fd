//! What is pending, and what of it cannot go now.
//!
//! In: each touched account's fresh plan, the budget's verdict. Out: counts for the
//! report, and the sets from which accounts come back.
//! Invariants: an account is pending exactly while its plan is not empty; every update costs
//! O(log n). Absent by design: the queue, which only knows what may be tried.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{AccountId, Field};
use crate::condition::Reason;
use crate::plan::AccountPlan;
use crate::report::PendingCounts;
use crate::timestamp::{ClockStep, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    since: Timestamp,
    wanted: [Option<bool>; 2],
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    pending: BTreeMap<AccountId, Pending>,
    by_age: BTreeSet<(Timestamp, AccountId)>,
    counts: PendingCounts,
    blocked: BTreeMap<AccountId, Reason>,
    rejected: BTreeSet<AccountId>,
    held: BTreeSet<AccountId>,
    /// Those of which something was rejected or is held.
    stopped: BTreeSet<AccountId>,
    wake: BTreeSet<(Timestamp, AccountId)>,
}

impl Backlog {
    /// Notes an account's fresh plan. `since`: since when its changes wait, if it has any.
    pub(super) fn set(&mut self, account: AccountId, plan: &AccountPlan, since: Option<Timestamp>) {
        if plan.changes.iter().any(|change| change.refused) {
            self.rejected.insert(account);
        } else {
            self.rejected.remove(&account);
        }
        match plan.blocked.filter(|reason| *reason != Reason::Orphaned) {
            Some(reason) => self.blocked.insert(account, reason),
            None => self.blocked.remove(&account),
        };
        let before = self.pending.remove(&account);
        if let Some(before) = before {
            self.by_age.remove(&(before.since, account));
            self.count(before.wanted, |count| *count -= 1);
        }
        self.note_stopped(account);
        let Some(since) = since else { return };
        let mut wanted = [None; 2];
        for change in &plan.changes {
            wanted[change.field as usize] = Some(change.to);
        }
        self.pending.insert(account, Pending { since, wanted });
        self.by_age.insert((since, account));
        self.count(wanted, |count| *count += 1);
    }

    fn note_stopped(&mut self, account: AccountId) {
        if self.rejected.contains(&account) || self.held.contains(&account) {
            self.stopped.insert(account);
        } else {
            self.stopped.remove(&account);
        }
    }

    fn count(&mut self, wanted: [Option<bool>; 2], step: impl Fn(&mut usize)) {
        for (field, to) in Field::ALL.into_iter().zip(wanted) {
            if let Some(to) = to {
                step(self.counts.count_mut(field, to));
            }
        }
    }

    /// Notes that the disruption budget holds the account.
    pub(super) fn hold(&mut self, account: AccountId) {
        self.held.insert(account);
        self.note_stopped(account);
    }

    /// Notes that the disruption budget does not hold the account.
    pub(super) fn let_go(&mut self, account: AccountId) {
        self.held.remove(&account);
        self.note_stopped(account);
    }

    /// Lets go of everything that was held.
    pub(super) fn release(&mut self) -> BTreeSet<AccountId> {
        let released = std::mem::take(&mut self.held);
        released.iter().for_each(|account| self.note_stopped(*account));
        released
    }

    /// Whether the budget holds the account.
    pub(super) fn is_held(&self, account: AccountId) -> bool {
        self.held.contains(&account)
    }

    /// How many accounts the budget holds.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many accounts go no further by themselves, as something of them was rejected or is held. One that is both
    /// counts once.
    pub(super) fn stopped(&self) -> usize {
        self.stopped.len()
    }

    /// The accounts of which the service refused something for good.
    pub(super) fn rejected(&self) -> Vec<AccountId> {
        self.rejected.iter().copied().collect()
    }

    /// How many there are.
    pub(super) fn stalled(&self) -> usize {
        self.rejected.len()
    }

    /// How many accounts have a plan that is not empty.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many accounts are declared and not reconciled at all: duplicates and the suspended.
    pub(super) fn blocked(&self) -> usize {
        self.blocked.len()
    }

    /// Pending changes by field and direction.
    pub(super) const fn counts(&self) -> PendingCounts {
        self.counts
    }

    /// Since when something of the account waits.
    pub(super) fn since(&self, account: AccountId) -> Option<Timestamp> {
        self.pending.get(&account).map(|pending| pending.since)
    }

    /// Since when the oldest change waits.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(since, _)| *since)
    }

    /// The wall clock was set: what is pending has been so for as long as before. What people wrote down ends when they
    /// wrote.
    pub(super) fn carry(&mut self, step: ClockStep) {
        self.pending.values_mut().for_each(|pending| pending.since = step.carry(pending.since));
        self.by_age = self.pending.iter().map(|(account, pending)| (pending.since, *account)).collect();
    }

    /// Looks at the account again at `until`: its suspension ends then, or an approval.
    pub(super) fn wake_at(&mut self, until: Timestamp, account: AccountId) {
        self.wake.insert((until, account));
    }

    /// An account that is to be looked at again by `now`.
    pub(super) fn woken(&mut self, now: Timestamp) -> Option<AccountId> {
        let due = self.wake.first().filter(|(until, _)| *until <= now).copied()?;
        self.wake.pop_first();
        Some(due.1)
    }

    /// When the next account is to be looked at again.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.wake.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::SourceRef;
    use crate::change::{Change, Known};

    #[test]
    fn an_account_is_held_no_longer_once_it_loses_nothing() {
        let account = AccountId::new(1).unwrap();
        let plan = |to| {
            let source = SourceRef { path: "a.yaml".into(), line: 1 };
            let (name, field, from) = ("a".into(), Field::Enabled, Known::Absent);
            let change = Change {
                account,
                name,
                zuid: None,
                field,
                from,
                to,
                source,
                revision: Arc::default(),
                approval: None,
                not_before: None,
                begun: false,
                refused: false,
            };
            AccountPlan { changes: vec![change], blocked: None }
        };
        let (mut backlog, now) = (Backlog::default(), Some(Timestamp::from_millis(0)));
        backlog.set(account, &plan(false), now);
        backlog.hold(account);
        backlog.set(account, &plan(false), now);
        assert!(backlog.is_held(account));
        let mut refused = plan(false);
        refused.changes[0].refused = true;
        backlog.set(account, &refused, now);
        assert_eq!((backlog.held(), backlog.stalled(), backlog.stopped()), (1, 1, 1), "both, and one account");
        backlog.release();
        assert_eq!((backlog.held(), backlog.stalled(), backlog.stopped()), (0, 1, 1));
        backlog.set(account, &plan(false), now);
        assert_eq!(backlog.stopped(), 0);
        backlog.hold(account);
        backlog.set(account, &plan(true), now);
        backlog.let_go(account);
        assert!(!backlog.is_held(account));
        assert_eq!(backlog.pending(), 1);
    }
}
