//! What may be taken away: the disruption budget, a filter on a finished plan.
//!
//! In: which accounts have a pending disruption, which lost something lately, how many are
//! managed. Out: a [`Verdict`] on all pending disruptions together.
//! Invariants: disruptions applied in the window plus those pending never exceed the budget; if
//! they would, none goes, for a mass change is a mistake as a whole and not from its eleventh
//! account on; grants are never held. An account counts once, however much it loses. Approvals
//! from Git have their place in [`Guard::verdict`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::AccountId;
use crate::change::Change;
use crate::timestamp::Timestamp;

/// How many accounts may lose something within the window: a number, a share of the managed ones,
/// or the larger of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    count: Option<u32>,
    percent: Option<u32>,
}

impl DisruptionBudget {
    /// The number of accounts it allows among `managed`.
    pub fn limit(self, managed: usize) -> usize {
        let count = self.count.map_or(0, |count| count as usize);
        let share = self.percent.map_or(0, |percent| managed.saturating_mul(percent as usize) / 100);
        count.max(share)
    }
}

/// `10,10%`: a slip in one folder must not reach a whole organization, and everyday leavers must not wait.
impl Default for DisruptionBudget {
    fn default() -> Self {
        Self { count: Some(10), percent: Some(10) }
    }
}

/// Why a text is not a disruption budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected N, P% (0% to 100%) or N,P%, such as 10, 5% or 10,10%")]
pub struct InvalidBudget;

impl FromStr for DisruptionBudget {
    type Err = InvalidBudget;

    fn from_str(text: &str) -> Result<Self, InvalidBudget> {
        let mut budget = Self { count: None, percent: None };
        for part in text.split(',').map(str::trim) {
            let (slot, digits) = match part.strip_suffix('%') {
                Some(digits) => (&mut budget.percent, digits),
                None => (&mut budget.count, part),
            };
            let value = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
            if slot.replace(value.ok_or(InvalidBudget)?).is_some() {
                return Err(InvalidBudget);
            }
        }
        if budget.percent.is_some_and(|percent| percent > 100) { Err(InvalidBudget) } else { Ok(budget) }
    }
}

impl fmt::Display for DisruptionBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.percent) {
            (Some(count), Some(percent)) => write!(f, "{count},{percent}%"),
            (None, Some(percent)) => write!(f, "{percent}%"),
            (count, None) => write!(f, "{}", count.unwrap_or(0)),
        }
    }
}

/// Whether the pending disruptions may go, with the sum that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Accounts that lost something within the window, or may have.
    pub applied: usize,
    /// Accounts that would lose something now, and did not within the window.
    pub pending: usize,
    /// How many the budget allows.
    pub limit: usize,
}

impl Verdict {
    /// Whether every pending disruption is held.
    pub const fn exceeded(self) -> bool {
        self.pending > 0 && self.applied + self.pending > self.limit
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, pending, limit } = self;
        write!(f, "{applied} applied in the window + {pending} pending, budget {limit}")
    }
}

/// Keeps the sum that the verdict needs, account by account.
#[derive(Clone, Debug)]
pub struct Guard {
    budget: DisruptionBudget,
    window: Duration,
    pending: BTreeSet<AccountId>,
    applied: BTreeMap<AccountId, Timestamp>,
    applied_by_time: BTreeSet<(Timestamp, AccountId)>,
    /// Accounts both pending and applied: they count once.
    both: usize,
}

impl Guard {
    /// A guard that remembers the disruptions already `applied`, as the ledger does.
    pub fn new(budget: DisruptionBudget, window: Duration, applied: &BTreeMap<AccountId, Timestamp>) -> Self {
        Self {
            budget,
            window,
            pending: BTreeSet::new(),
            applied: applied.clone(),
            applied_by_time: applied.iter().map(|(id, at)| (*at, *id)).collect(),
            both: 0,
        }
    }

    /// Notes whether `account` waits to lose something.
    pub fn set_pending(&mut self, account: AccountId, pending: bool) {
        let changed = if pending { self.pending.insert(account) } else { self.pending.remove(&account) };
        if changed && self.applied.contains_key(&account) {
            if pending { self.both += 1 } else { self.both -= 1 }
        }
    }

    /// Notes that `account` lost something at `at`, or that a PUT which takes something away was begun
    /// then: from that moment on nobody knows that it did not act, whatever becomes of the manifest.
    pub fn applied(&mut self, account: AccountId, at: Timestamp) {
        match self.applied.insert(account, at) {
            Some(before) => {
                self.applied_by_time.remove(&(before, account));
            }
            None if self.pending.contains(&account) => self.both += 1,
            None => {}
        }
        self.applied_by_time.insert((at, account));
    }

    /// Notes that the PUT begun last did not act: `account` lost something at `before`, or never.
    pub fn undo(&mut self, account: AccountId, before: Option<Timestamp>) {
        if let Some(at) = self.applied.remove(&account) {
            self.applied_by_time.remove(&(at, account));
            if self.pending.contains(&account) {
                self.both -= 1;
            }
        }
        if let Some(before) = before {
            self.applied(account, before);
        }
    }

    /// The verdict at `now` for `managed` accounts. The same for every pending disruption.
    pub fn verdict(&mut self, managed: usize, now: Timestamp) -> Verdict {
        self.expire(now);
        Verdict {
            applied: self.applied.len(),
            pending: self.pending.len() - self.both,
            limit: self.budget.limit(managed),
        }
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
            if self.pending.contains(&account) {
                self.both -= 1;
            }
        }
    }
}

/// A plan, sorted into what may go and what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reviewed {
    /// Changes that may go.
    pub allowed: Vec<Change>,
    /// Disruptions that the budget holds.
    pub held: Vec<Change>,
    /// The sum that decided.
    pub verdict: Verdict,
}

/// Sorts a finished plan at `now`, by the same guard that the controller asks at every pop.
pub fn review(mut guard: Guard, changes: Vec<Change>, managed: usize, now: Timestamp) -> Reviewed {
    for change in changes.iter().filter(|change| change.is_disruption()) {
        guard.set_pending(change.account, true);
    }
    let verdict = guard.verdict(managed, now);
    let (held, allowed) = changes.into_iter().partition(|change| verdict.exceeded() && change.is_disruption());
    Reviewed { allowed, held, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const T0: Timestamp = Timestamp::from_millis(10_000_000);

    fn guard(budget: &str) -> Guard {
        Guard::new(budget.parse().unwrap(), HOUR, &BTreeMap::new())
    }

    #[test]
    fn the_budget_is_the_larger_of_count_and_share() {
        for (text, managed, limit) in
            [("10,10%", 20, 10), ("10,10%", 500, 50), ("5", 1000, 5), ("3%", 99, 2), ("0", 9, 0), ("100%", 7, 7)]
        {
            let budget: DisruptionBudget = text.parse().unwrap();
            assert_eq!(budget.limit(managed), limit, "{text} of {managed}");
            assert_eq!(budget.to_string(), text);
        }
        for bad in ["", "%", "10,10", "5%,5%", "101%", "-1", "+1", "1.5", "10,10%,1", "ten"] {
            assert_eq!(bad.parse::<DisruptionBudget>(), Err(InvalidBudget), "{bad:?}");
        }
    }

    #[test]
    fn one_disruption_too_many_holds_all_of_them() {
        let mut guard = guard("3");
        for n in 1..=3 {
            guard.set_pending(id(n), true);
        }
        assert!(!guard.verdict(100, T0).exceeded());
        guard.set_pending(id(4), true);
        assert!(guard.verdict(100, T0).exceeded());
        guard.set_pending(id(4), false);
        assert!(!guard.verdict(100, T0).exceeded());
    }

    #[test]
    fn the_window_rolls_and_an_account_counts_once() {
        let mut guard = guard("2");
        guard.set_pending(id(1), true);
        guard.applied(id(1), T0);
        guard.set_pending(id(1), false);
        guard.set_pending(id(2), true);
        assert!(!guard.verdict(9, T0).exceeded());
        guard.applied(id(2), T0 + Duration::from_secs(60));
        // Still pending: its second field. It counts once.
        assert_eq!(guard.verdict(9, T0 + Duration::from_secs(61)), Verdict { applied: 2, pending: 0, limit: 2 });
        assert!(!guard.verdict(9, T0).exceeded());
        guard.set_pending(id(3), true);
        assert!(guard.verdict(9, T0 + Duration::from_secs(61)).exceeded());
        assert_eq!(guard.next_expiry(), Some(T0 + HOUR));
        assert!(!guard.verdict(9, T0 + HOUR).exceeded());
    }

    #[test]
    fn a_disruption_counts_from_its_intent_and_an_undone_one_not_at_all() {
        let mut guard = guard("1");
        guard.set_pending(id(1), true);
        guard.applied(id(1), T0);
        // Its manifest is reverted while it is under way: it may act all the same.
        guard.set_pending(id(1), false);
        guard.set_pending(id(2), true);
        assert!(guard.verdict(9, T0).exceeded());
        guard.undo(id(1), None);
        assert_eq!(guard.verdict(9, T0), Verdict { applied: 0, pending: 1, limit: 1 });
        guard.applied(id(2), T0);
        guard.undo(id(2), Some(T0.before(HOUR / 2)));
        assert_eq!(guard.verdict(9, T0), Verdict { applied: 1, pending: 0, limit: 1 });
        assert_eq!(guard.verdict(9, T0 + HOUR / 2), Verdict { applied: 0, pending: 1, limit: 1 });
    }

    #[test]
    fn what_was_applied_before_a_restart_still_counts() {
        let before = BTreeMap::from([(id(1), T0), (id(2), T0)]);
        let mut guard = Guard::new("2".parse().unwrap(), HOUR, &before);
        guard.set_pending(id(3), true);
        assert!(guard.verdict(9, T0 + Duration::from_secs(1)).exceeded());
    }
}
