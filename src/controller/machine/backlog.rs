//! What is pending, and what of it cannot go now.
//!
//! In: each touched account's fresh plan, the budget's verdict. Out: counts for the
//! report, and the sets from which accounts come back.
//! Invariants: an account is pending exactly while its plan is not empty; every update costs
//! O(log n). Absent by design: the queue, which only knows what may be tried.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{AccountId, Field};
use crate::change::Direction;
use crate::condition::Reason;
use crate::plan::AccountPlan;
use crate::report::{ByCondition, PendingCounts};
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
    suspended: BTreeSet<AccountId>,
    /// Those whose manifest is broken, or of which there are two.
    unsound: BTreeSet<AccountId>,
    rejected: BTreeSet<AccountId>,
    /// By which budgets each is held, in the order of [`Direction::ALL`].
    held: BTreeMap<AccountId, [bool; 2]>,
    held_by: [usize; 2],
    /// Those that go no further by themselves.
    stalled: BTreeSet<AccountId>,
    /// Those that are pending, and do.
    reconciling: BTreeSet<AccountId>,
    /// Those that no manifest declares.
    orphans: BTreeSet<AccountId>,
    /// When each account is to be looked at again, if it is.
    wake: BTreeMap<AccountId, Timestamp>,
    wake_by_time: BTreeSet<(Timestamp, AccountId)>,
}

impl Backlog {
    /// Notes an account's fresh plan. `since`: since when its changes wait, if it has any; `is_broken`: its manifest is, and
    /// the plan is that of the last good one.
    pub(super) fn set(&mut self, account: AccountId, plan: &AccountPlan, since: Option<Timestamp>, is_broken: bool) {
        if plan.changes.iter().any(|change| change.refused) {
            self.rejected.insert(account);
        } else {
            self.rejected.remove(&account);
        }
        for set in [&mut self.orphans, &mut self.suspended, &mut self.unsound] {
            set.remove(&account);
        }
        let set = match plan.blocked {
            Some(Reason::Orphaned) => Some(&mut self.orphans),
            Some(Reason::Suspended) if !is_broken => Some(&mut self.suspended),
            Some(_) => Some(&mut self.unsound),
            None => is_broken.then_some(&mut self.unsound),
        };
        set.map(|set| set.insert(account));
        let before = self.pending.remove(&account);
        if let Some(before) = before {
            self.by_age.remove(&(before.since, account));
            self.count(before.wanted, |count| *count -= 1);
        }
        let Some(since) = since else { return self.classify(account) };
        let mut wanted = [None; 2];
        for change in &plan.changes {
            wanted[change.field as usize] = Some(change.to);
        }
        self.pending.insert(account, Pending { since, wanted });
        self.by_age.insert((since, account));
        self.count(wanted, |count| *count += 1);
        self.classify(account);
    }

    /// Which condition the account has, as `status` says it of the same account.
    fn classify(&mut self, account: AccountId) {
        self.stalled.remove(&account);
        self.reconciling.remove(&account);
        let is_held = self.held.contains_key(&account);
        if is_held || [&self.unsound, &self.rejected].iter().any(|set| set.contains(&account)) {
            self.stalled.insert(account);
        } else if self.pending.contains_key(&account) {
            self.reconciling.insert(account);
        }
    }

    fn count(&mut self, wanted: [Option<bool>; 2], step: impl Fn(&mut usize)) {
        for (field, to) in Field::ALL.into_iter().zip(wanted) {
            if let Some(to) = to {
                step(self.counts.count_mut(field, to));
            }
        }
    }

    /// Notes that the budget of this direction holds the account.
    pub(super) fn hold(&mut self, account: AccountId, direction: Direction) {
        let flag = &mut self.held.entry(account).or_default()[direction as usize];
        if !std::mem::replace(flag, true) {
            self.held_by[direction as usize] += 1;
        }
        self.classify(account);
    }

    /// Notes that the budget of this direction does not hold the account.
    pub(super) fn let_go(&mut self, account: AccountId, direction: Direction) {
        if let Some(flags) = self.held.get_mut(&account) {
            if std::mem::take(&mut flags[direction as usize]) {
                self.held_by[direction as usize] -= 1;
            }
            if *flags == [false; 2] {
                self.held.remove(&account);
            }
        }
        self.classify(account);
    }

    /// Lets go of everything that the budget of this direction held.
    pub(super) fn release(&mut self, direction: Direction) -> Vec<AccountId> {
        let is_held = |(account, flags): (&AccountId, &[bool; 2])| flags[direction as usize].then_some(*account);
        let released: Vec<_> = self.held.iter().filter_map(is_held).collect();
        released.iter().for_each(|account| self.let_go(*account, direction));
        released
    }

    /// Whether a budget holds the account.
    pub(super) fn is_held(&self, account: AccountId) -> bool {
        self.held.contains_key(&account)
    }

    /// Whether the budget of this direction holds the account.
    pub(super) fn is_held_by(&self, account: AccountId, direction: Direction) -> bool {
        self.held.get(&account).is_some_and(|flags| flags[direction as usize])
    }

    /// How many accounts are held, by either budget.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many the budget of this direction holds.
    pub(super) const fn held_by(&self, direction: Direction) -> usize {
        self.held_by[direction as usize]
    }

    /// So many accounts are `declared`, by condition.
    pub(super) fn by_condition(&self, declared: usize) -> ByCondition {
        let (reconciling, stalled, suspended) = (self.reconciling.len(), self.stalled.len(), self.suspended.len());
        let ready = declared.saturating_sub(reconciling + stalled + suspended);
        ByCondition { ready, reconciling, stalled, suspended }
    }

    /// The accounts that the ledger remembers and no manifest declares.
    pub(super) fn orphans(&self) -> impl Iterator<Item = AccountId> {
        self.orphans.iter().copied()
    }

    /// The accounts of which the service refused something for good.
    pub(super) fn rejected(&self) -> Vec<AccountId> {
        self.rejected.iter().copied().collect()
    }

    /// How many there are.
    pub(super) fn refused(&self) -> usize {
        self.rejected.len()
    }

    /// How many accounts have a plan that is not empty.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
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

    /// Looks at the account again at `until`, and not at what was noted before: its suspension ends then, or an approval, or
    /// what its manifest wants changes.
    pub(super) fn wake_at(&mut self, account: AccountId, until: Option<Timestamp>) {
        let before = match until {
            Some(until) => self.wake.insert(account, until),
            None => self.wake.remove(&account),
        };
        before.map(|before| self.wake_by_time.remove(&(before, account)));
        self.wake_by_time.extend(until.map(|until| (until, account)));
    }

    /// An account that is to be looked at again by `now`.
    pub(super) fn woken(&mut self, now: Timestamp) -> Option<AccountId> {
        let (until, account) = self.wake_by_time.first().copied()?;
        if until > now {
            return None;
        }
        self.wake_at(account, None);
        Some(account)
    }

    /// When the next account is to be looked at again.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.wake_by_time.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::SourceRef;
    use crate::change::{Change, Direction::TakesAway, Known};

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
                validity: None,
                wanted_since: None,
                gives_back: false,
            };
            AccountPlan { changes: vec![change], blocked: None }
        };
        let (mut backlog, now) = (Backlog::default(), Some(Timestamp::from_millis(0)));
        let stalled = |backlog: &Backlog| backlog.by_condition(1).stalled;
        backlog.set(account, &plan(false), now, false);
        backlog.hold(account, TakesAway);
        backlog.set(account, &plan(false), now, false);
        assert!(backlog.is_held(account));
        let mut refused = plan(false);
        refused.changes[0].refused = true;
        backlog.set(account, &refused, now, false);
        assert_eq!((backlog.held(), backlog.refused(), stalled(&backlog)), (1, 1, 1), "both, and one account");
        backlog.release(TakesAway);
        assert_eq!((backlog.held(), backlog.refused(), stalled(&backlog)), (0, 1, 1));
        backlog.set(account, &plan(false), now, false);
        assert_eq!(stalled(&backlog), 0);
        backlog.hold(account, TakesAway);
        backlog.set(account, &plan(true), now, false);
        backlog.let_go(account, TakesAway);
        assert!(!backlog.is_held(account));
        assert_eq!(backlog.pending(), 1);
    }
}
