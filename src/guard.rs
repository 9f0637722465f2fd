//! What may be taken away, and what given back: budgets, a filter on a finished plan.
//!
//! In: which accounts have a pending disruption, which lost something lately, how many are
//! managed. Out: a [`Verdict`] on all pending disruptions together.
//! Invariants: disruptions applied in the window plus those pending never exceed the budget; if
//! they would, none goes, for a mass change is a mistake as a whole and not from its eleventh
//! account on; grants are never held. An account counts once, however much it loses.
//!
//! A change that a `DisruptionApproval` names ([`Change::approval`]) is never held and uses up nothing of the budget,
//! neither while it is pending nor after it was applied: so what no approval covers is held or not whichever goes first.
//! A removal that was begun counts from its first intent, and a further attempt at it is neither held nor counted anew.
//! What the service refused for good is not pending: it would lose nothing now.
//!
//! The same once more the other way, with a budget of its own that is off by default: a mailbox that this program disabled,
//! and that is enabled again, comes back ([`Change::gives_back`]). [`Guards`] are the two.

mod allowance;
pub mod approval;
mod guards;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::AccountId;
use crate::change::{Change, Direction};
use crate::timestamp::Timestamp;

pub use allowance::{
    Allowance, DisruptionBudget, GrantBudget, InForce, InvalidBudget, InvalidGrantBudget, InvalidWindow, window,
};
pub use guards::Guards;
pub use verdict::{Verdict, Verdicts};

/// Keeps the sum that the verdict needs, account by account, in one direction.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `None`: there is no limit.
    budget: Option<DisruptionBudget>,
    window: Duration,
    /// Accounts that wait to lose something, each with the number of changes that take something away.
    pending: BTreeMap<AccountId, usize>,
    pending_changes: usize,
    applied: BTreeMap<AccountId, Timestamp>,
    applied_by_time: BTreeSet<(Timestamp, AccountId)>,
    /// Accounts both pending and applied: they count once.
    both: usize,
}

impl Guard {
    /// A guard that remembers what was already `applied`, as the ledger does.
    pub fn new(
        budget: impl Into<Option<DisruptionBudget>>,
        window: Duration,
        applied: &BTreeMap<AccountId, Timestamp>,
    ) -> Self {
        Self {
            budget: budget.into(),
            window,
            pending: BTreeMap::new(),
            pending_changes: 0,
            applied: applied.clone(),
            applied_by_time: applied.iter().map(|(id, at)| (*at, *id)).collect(),
            both: 0,
        }
    }

    /// Another budget is in force from now on. The sum is made anew of what the ledger remembers to be `applied`: a
    /// longer window reaches back to what has left the shorter one.
    pub fn allow(
        &mut self,
        budget: impl Into<Option<DisruptionBudget>>,
        window: Duration,
        applied: &BTreeMap<AccountId, Timestamp>,
    ) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self::new(budget, window, applied);
        pending.into_iter().for_each(|(account, changes)| self.set_pending(account, changes));
    }

    /// Notes how many changes of `account` wait to take something away and need the budget.
    pub fn set_pending(&mut self, account: AccountId, changes: usize) {
        let before = if changes > 0 { self.pending.insert(account, changes) } else { self.pending.remove(&account) }
            .unwrap_or(0);
        self.pending_changes = self.pending_changes + changes - before;
        if (changes > 0) != (before > 0) && self.applied.contains_key(&account) {
            if changes > 0 { self.both += 1 } else { self.both -= 1 }
        }
    }

    /// The accounts that wait to lose something that needs the budget.
    pub fn pending(&self) -> impl Iterator<Item = AccountId> {
        self.pending.keys().copied()
    }

    /// Notes that `account` lost something at `at`, or that a PUT which takes something away was begun
    /// then: from that moment on nobody knows that it did not act, whatever becomes of the manifest.
    pub fn applied(&mut self, account: AccountId, at: Timestamp) {
        match self.applied.insert(account, at) {
            Some(before) => {
                self.applied_by_time.remove(&(before, account));
            }
            None if self.pending.contains_key(&account) => self.both += 1,
            None => {}
        }
        self.applied_by_time.insert((at, account));
    }

    /// Notes that the PUT begun last did not act: `account` lost something at `before`, or never.
    pub fn undo(&mut self, account: AccountId, before: Option<Timestamp>) {
        if let Some(at) = self.applied.remove(&account) {
            self.applied_by_time.remove(&(at, account));
            if self.pending.contains_key(&account) {
                self.both -= 1;
            }
        }
        if let Some(before) = before {
            self.applied(account, before);
        }
    }

    /// The verdict at `now` for `managed` accounts. The same for every pending disruption.
    pub fn verdict(&mut self, managed: usize, now: Timestamp) -> Verdict {
        self.verdict_with(None, managed, now)
    }

    /// The verdict if `also` waited too.
    fn verdict_with(&mut self, also: Option<AccountId>, managed: usize, now: Timestamp) -> Verdict {
        self.expire(now);
        let also = also.filter(|account| !self.pending.contains_key(account));
        let is_new = also.is_some_and(|account| !self.applied.contains_key(&account));
        let limit = self.budget.map_or(usize::MAX, |budget| budget.limit(managed));
        // More than the budget allows at once never fits, however empty the window is.
        let fits = self.pending.len() + usize::from(also.is_some()) <= limit;
        Verdict {
            applied: self.applied.len(),
            pending: self.pending.len() - self.both + usize::from(is_new),
            limit,
            pending_changes: self.pending_changes,
            window: self.window,
            next_freed: self.next_expiry().filter(|_| fits),
        }
    }

    /// The verdict at `now` for an account that is not noted as pending, because the service refused it before, and that
    /// is tried again: as if it were, and without holding the others up.
    pub fn verdict_on(&mut self, account: AccountId, managed: usize, now: Timestamp) -> Verdict {
        self.verdict_with(Some(account), managed, now)
    }

    /// When the oldest disruption leaves the window, which may change the verdict.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.applied_by_time.first().map(|(at, _)| *at + self.window)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((at, account)) = self.applied_by_time.first().copied() {
            if at + self.window > now {
                break;
            }
            self.applied_by_time.pop_first();
            self.applied.remove(&account);
            if self.pending.contains_key(&account) {
                self.both -= 1;
            }
        }
    }
}

/// A plan, sorted into what may go and what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reviewed {
    /// Changes that may go.
    pub allowed: Vec<Change>,
    /// Changes that a budget holds.
    pub held: Vec<Change>,
    /// The sum that decided on what takes something away.
    pub verdict: Verdict,
    /// The sum that decided on mailboxes that come back, if there is a grant budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_verdict: Option<Verdict>,
}

impl Reviewed {
    /// The sums that decided.
    pub const fn verdicts(&self) -> Verdicts {
        Verdicts { disruptions: self.verdict, grants: self.grant_verdict }
    }

    /// What each budget holds, and the sum that decided.
    pub fn held_by(&self) -> impl Iterator<Item = (Direction, Verdict, Vec<&Change>)> {
        let verdicts = self.verdicts();
        let held = move |direction| {
            let held: Vec<_> = self.held.iter().filter(|change| change.direction() == Some(direction)).collect();
            Some((direction, verdicts.of(direction)?, held)).filter(|(.., held)| !held.is_empty())
        };
        Direction::ALL.into_iter().filter_map(held)
    }

    /// Of how many accounts something is held.
    pub fn held_accounts(&self) -> usize {
        self.held.iter().map(|change| change.account).collect::<BTreeSet<_>>().len()
    }
}

/// Sorts a finished plan at `now`, by the same guards that the controller asks at every pop. What is approved is allowed.
pub fn review(mut guards: Guards, changes: Vec<Change>, managed: usize, now: Timestamp) -> Reviewed {
    let mut waiting = BTreeMap::<AccountId, Vec<&Change>>::new();
    for change in changes.iter().filter(|change| change.needs_budget().is_some() && !change.refused) {
        waiting.entry(change.account).or_default().push(change);
    }
    waiting.into_iter().for_each(|(account, changes)| guards.set_pending(account, &changes));
    let Verdicts { disruptions: verdict, grants: grant_verdict } = guards.verdicts(managed, now);
    let holds = |change: &Change| guards.verdicts_on(change.account, managed, now).holding(change).is_some();
    let (held, allowed) = changes.into_iter().partition(holds);
    Reviewed { allowed, held, verdict, grant_verdict }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{Field, SourceRef};
    use crate::change::Known;

    fn id(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const T0: Timestamp = Timestamp::from_millis(10_000_000);

    fn guard(budget: &str) -> Guard {
        Guard::new(budget.parse::<DisruptionBudget>().unwrap(), HOUR, &BTreeMap::new())
    }

    fn sum(verdict: Verdict) -> (usize, usize, usize) {
        (verdict.applied, verdict.pending, verdict.limit)
    }

    #[test]
    fn one_disruption_too_many_holds_all_of_them() {
        let mut guard = guard("3");
        for n in 1..=3 {
            guard.set_pending(id(n), 1);
        }
        assert!(!guard.verdict(100, T0).exceeded());
        guard.set_pending(id(4), 1);
        assert!(guard.verdict(100, T0).exceeded());
        guard.set_pending(id(4), 0);
        assert!(!guard.verdict(100, T0).exceeded());
    }

    #[test]
    fn the_window_rolls_and_an_account_counts_once() {
        let mut guard = guard("2");
        guard.set_pending(id(1), 1);
        guard.applied(id(1), T0);
        guard.set_pending(id(1), 0);
        guard.set_pending(id(2), 1);
        assert!(!guard.verdict(9, T0).exceeded());
        guard.applied(id(2), T0 + Duration::from_secs(60));
        // Still pending: its second field. It counts once.
        assert_eq!(sum(guard.verdict(9, T0 + Duration::from_secs(61))), (2, 0, 2));
        assert!(!guard.verdict(9, T0).exceeded());
        guard.set_pending(id(3), 1);
        assert!(guard.verdict(9, T0 + Duration::from_secs(61)).exceeded());
        assert_eq!(guard.next_expiry(), Some(T0 + HOUR));
        assert!(!guard.verdict(9, T0 + HOUR).exceeded());
    }

    #[test]
    fn a_disruption_counts_from_its_intent_and_an_undone_one_not_at_all() {
        let mut guard = guard("1");
        guard.set_pending(id(1), 1);
        guard.applied(id(1), T0);
        // Its manifest is reverted while it is under way: it may act all the same.
        guard.set_pending(id(1), 0);
        guard.set_pending(id(2), 1);
        assert!(guard.verdict(9, T0).exceeded());
        guard.undo(id(1), None);
        assert_eq!(sum(guard.verdict(9, T0)), (0, 1, 1));
        guard.applied(id(2), T0);
        guard.undo(id(2), Some(T0.before(HOUR / 2)));
        assert_eq!(sum(guard.verdict(9, T0)), (1, 0, 1));
        assert_eq!(sum(guard.verdict(9, T0 + HOUR / 2)), (0, 1, 1));
    }

    #[test]
    fn another_budget_counts_at_once_and_a_longer_window_reaches_back() {
        let remembered = BTreeMap::from([(id(1), T0), (id(2), T0 + HOUR)]);
        let mut guard = Guard::new("2".parse::<DisruptionBudget>().unwrap(), HOUR, &remembered);
        (1..=3).for_each(|n| guard.set_pending(id(n), 1));
        let now = T0 + HOUR + HOUR / 2;
        assert_eq!(sum(guard.verdict(9, now)), (1, 2, 2));
        guard.allow("5".parse::<DisruptionBudget>().unwrap(), 2 * HOUR, &remembered);
        assert_eq!(sum(guard.verdict(9, now)), (2, 1, 5));
        guard.allow(Allowance::nothing(HOUR / 4).max, HOUR / 4, &remembered);
        assert_eq!(sum(guard.verdict(9, now)), (0, 3, 0));
    }

    /// A disruption of the account, with an approval or without.
    fn change(n: u64, field: Field, approved: bool) -> Change {
        Change {
            account: id(n),
            name: format!("a{n}").into(),
            zuid: None,
            field,
            from: Known::Applied(true),
            to: false,
            source: SourceRef { path: "a.yaml".into(), line: 1 },
            revision: Arc::default(),
            approval: approved.then(|| "leavers".into()),
            not_before: None,
            begun: false,
            refused: false,
            validity: None,
            wanted_since: None,
            gives_back: false,
            drift: None,
        }
    }

    #[test]
    fn an_unapproved_eleventh_is_held_whichever_of_the_approved_ones_went_before() {
        for gone in 0..=10 {
            let mut guard = guard("1");
            guard.applied(id(12), T0);
            // What went before it with an approval is not applied as far as the budget is concerned.
            let left = (gone + 1..=11).map(|n| change(n, Field::Enabled, n <= 10)).collect();
            let Reviewed { allowed, held, .. } = review(guard.into(), left, 99, T0);
            assert_eq!((allowed.len() as u64, held.len(), held[0].account), (10 - gone, 1, id(11)), "{gone} gone");
        }
    }

    #[test]
    fn the_other_field_of_an_account_is_held_whether_or_not_its_approved_one_went_before() {
        for gone in 0..=2 {
            let guard = guard("1");
            let approved = (gone + 1..=2).map(|n| change(n, Field::Enabled, true));
            let others = (1..=2).map(|n| change(n, Field::ActiveSyncEnabled, false));
            let reviewed = review(guard.into(), approved.chain(others).collect(), 99, T0);
            assert_eq!((reviewed.allowed.len() as u64, reviewed.held.len()), (2 - gone, 2), "{gone} gone");
        }
    }

    #[test]
    fn an_ordinary_leaver_goes_beside_a_hundred_that_are_approved() {
        let changes = (1..=100).map(|n| change(n, Field::Enabled, true)).chain([change(101, Field::Enabled, false)]);
        let Reviewed { held, verdict, .. } = review(guard("30").into(), changes.collect(), 999, T0);
        assert_eq!((held.len(), sum(verdict)), (0, (0, 1, 30)));
    }

    #[test]
    fn a_removal_that_was_begun_is_neither_held_nor_counted_anew() {
        let mut guard = guard("1");
        guard.applied(id(1), T0);
        let begun = |n| Change { begun: true, ..change(n, Field::Enabled, false) };
        let Reviewed { allowed, held, .. } =
            review(guard.into(), vec![begun(1), begun(2), change(3, Field::Enabled, false)], 99, T0);
        assert_eq!((allowed.len(), held.len()), (2, 1));
    }

    #[test]
    fn what_was_refused_before_is_judged_with_the_others_and_holds_none_of_them_up() {
        let mut guard = guard("2");
        (1..=2).for_each(|n| guard.set_pending(id(n), 1));
        assert!(guard.verdict_on(id(3), 99, T0).exceeded());
        assert!(!guard.verdict_on(id(2), 99, T0).exceeded() && !guard.verdict(99, T0).exceeded());
    }

    #[test]
    fn what_was_applied_before_a_restart_still_counts() {
        let before = BTreeMap::from([(id(1), T0), (id(2), T0)]);
        let mut guard = Guard::new("2".parse::<DisruptionBudget>().unwrap(), HOUR, &before);
        guard.set_pending(id(3), 1);
        assert!(guard.verdict(9, T0 + Duration::from_secs(1)).exceeded());
    }
}
