//! What is pending, and what of it cannot go now.
//!
//! In: each touched account's fresh plan, the budget's verdict. Out: counts for the
//! report, and the sets from which accounts come back.
//! Invariants: an account is pending exactly while its plan is not empty; every update costs
//! O(log n). Absent by design: the queue, which only knows what may be tried.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{AccountId, Field};
use crate::change::Direction;
use crate::condition::{ConditionType, Reason};
use crate::plan::AccountPlan;
use crate::report::{ByCondition, PendingCounts};
use crate::timestamp::{ClockStep, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    since: Timestamp,
    wanted: [Option<bool>; 2],
}

/// What is shown of an account that is not as it is wanted, as `status` says it of the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// No manifest declares it that can be read, but one that cannot did.
    Unread,
    /// Its manifest is broken, or there are two, or the service refused something.
    Stalled,
    /// The disruption budget holds something.
    Held,
    /// The grant budget does, and the disruption budget nothing.
    HeldBack,
    /// It waits for its turn, or for what everybody waits for.
    Pending,
    /// Somebody changed it elsewhere, and it is left so.
    Drifted,
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
    /// Those that somebody changed elsewhere, and that are left so.
    drifted: BTreeSet<AccountId>,
    /// By which budgets each is held, in the order of [`Direction::ALL`].
    held: BTreeMap<AccountId, [bool; 2]>,
    held_by: [usize; 2],
    /// What is shown of those that are neither ready, nor suspended, nor without a manifest.
    shown: BTreeMap<AccountId, Shown>,
    /// How many there are of each, in the order of [`Shown`]'s variants.
    shown_as: [usize; 6],
    /// Those that no manifest declares.
    orphans: BTreeSet<AccountId>,
    /// When each account is to be looked at again, if it is.
    wake: BTreeMap<AccountId, Timestamp>,
    wake_by_time: BTreeSet<(Timestamp, AccountId)>,
}

impl Backlog {
    /// Notes an account's fresh plan. `since`: since when its changes wait, if it has any; `is_broken`: its manifest is, and
    /// the plan is that of the last good one, or of none.
    pub(super) fn set(&mut self, account: AccountId, plan: &AccountPlan, since: Option<Timestamp>, is_broken: bool) {
        if plan.changes.iter().any(|change| change.refused) {
            self.rejected.insert(account);
        } else {
            self.rejected.remove(&account);
        }
        for set in [&mut self.orphans, &mut self.suspended, &mut self.unsound, &mut self.drifted] {
            set.remove(&account);
        }
        if !plan.drifted.is_empty() {
            self.drifted.insert(account);
        }
        if plan.blocked == Some(Reason::Orphaned) {
            self.orphans.insert(account);
        }
        if is_broken || plan.blocked == Some(Reason::DuplicateAccount) {
            self.unsound.insert(account);
        } else if plan.blocked == Some(Reason::Suspended) {
            self.suspended.insert(account);
        }
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

    /// What is shown of the account now.
    fn classify(&mut self, account: AccountId) {
        let held = self.held.get(&account);
        let now = if self.orphans.contains(&account) {
            self.unsound.contains(&account).then_some(Shown::Unread)
        } else if [&self.unsound, &self.rejected].iter().any(|set| set.contains(&account)) {
            Some(Shown::Stalled)
        } else if let Some(by) = held {
            Some(if by[Direction::TakesAway as usize] { Shown::Held } else { Shown::HeldBack })
        } else {
            let is_pending = self.pending.contains_key(&account);
            let drifted = || self.drifted.contains(&account).then_some(Shown::Drifted);
            is_pending.then_some(Shown::Pending).or_else(drifted)
        };
        let before = match now {
            Some(shown) => self.shown.insert(account, shown),
            None => self.shown.remove(&account),
        };
        now.into_iter().for_each(|shown| self.shown_as[shown as usize] += 1);
        before.into_iter().for_each(|shown| self.shown_as[shown as usize] -= 1);
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

    /// How many accounts are shown as held: by either budget, and by the grant budget alone.
    pub(super) const fn held(&self) -> [usize; 2] {
        let [_, _, held, held_back, ..] = self.shown_as;
        [held + held_back, held_back]
    }

    /// Whether a budget holds any.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many the budget of this direction holds.
    pub(super) const fn held_by(&self, direction: Direction) -> usize {
        self.held_by[direction as usize]
    }

    /// Accounts by condition. Manifests declare so many; while nothing may start, those that wait are shown as `waiting`.
    pub(super) fn by_condition(&self, declared: usize, waiting: Option<ConditionType>) -> ByCondition {
        let [unread, refused, held, held_back, pending, drifted] = self.shown_as;
        let stalled = refused + held + held_back;
        let ready = declared.saturating_sub(stalled + pending + drifted + self.suspended.len());
        let mut counts =
            ByCondition { ready, reconciling: 0, stalled: stalled + unread, suspended: self.suspended.len(), drifted };
        *match waiting {
            Some(ConditionType::Stalled) => &mut counts.stalled,
            Some(_) => &mut counts.reconciling,
            None => &mut counts.suspended,
        } += pending;
        counts
    }

    /// The accounts that no manifest declares, and whether they are noted as being in a file that is broken.
    pub(super) fn orphans(&self) -> impl Iterator<Item = (AccountId, bool)> {
        self.orphans.iter().map(|account| (*account, self.unsound.contains(account)))
    }

    /// The accounts of which the service refused something for good.
    pub(super) fn rejected(&self) -> Vec<AccountId> {
        self.rejected.iter().copied().collect()
    }

    /// How many there are.
    pub(super) fn refused(&self) -> usize {
        self.rejected.len()
    }

    /// The accounts whose plan is not empty.
    pub(super) fn waiting(&self) -> Vec<AccountId> {
        self.pending.keys().copied().collect()
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
                drift: None,
            };
            AccountPlan { changes: vec![change], ..AccountPlan::default() }
        };
        let (mut backlog, now) = (Backlog::default(), Some(Timestamp::from_millis(0)));
        let stalled = |backlog: &Backlog| backlog.by_condition(1, Some(ConditionType::Reconciling)).stalled;
        backlog.set(account, &plan(false), now, false);
        backlog.hold(account, TakesAway);
        backlog.set(account, &plan(false), now, false);
        assert!(backlog.is_held(account));
        let mut refused = plan(false);
        refused.changes[0].refused = true;
        backlog.set(account, &refused, now, false);
        assert_eq!((backlog.held(), backlog.refused(), stalled(&backlog)), ([0, 0], 1, 1), "both, and shown as one");
        backlog.release(TakesAway);
        assert_eq!((backlog.held(), backlog.refused(), stalled(&backlog)), ([0, 0], 1, 1));
        backlog.set(account, &plan(false), now, false);
        assert_eq!(stalled(&backlog), 0);
        backlog.hold(account, TakesAway);
        backlog.set(account, &plan(true), now, false);
        backlog.let_go(account, TakesAway);
        assert!(!backlog.is_held(account));
        assert_eq!(backlog.pending(), 1);
    }
}
