//! The verdict on what waits for a budget, with the sum that decides.
//!
//! In: counts, from the guard. Out: [`Verdict`], whether it holds a change, and its words.
//! Invariant: whatever is counted says what it counts: accounts decide, and changes stand beside them.
//! Absent by design: how the counts come about.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::change::{Change, Direction};
use crate::timestamp::Timestamp;

/// Whether the pending disruptions may go, with the sum that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Accounts that lost something within the window, or may have; of the grant budget: that came back.
    pub applied: usize,
    /// Accounts that would lose something now, or come back, and did not within the window.
    pub pending: usize,
    /// How many the budget allows.
    pub limit: usize,
    /// Changes that wait for this budget now and that no approval covers, of all accounts.
    pub pending_changes: usize,
    /// For how long an account counts that lost something.
    #[serde(serialize_with = "humane")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// When the first of the accounts that lost something leaves the window, if what waits can fit by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_freed: Option<Timestamp>,
}

impl Verdict {
    /// Whether every pending disruption is held that no approval lets through.
    ///
    /// Also where no other account is pending: one that lost a field by an approval has the other one still.
    pub const fn exceeded(self) -> bool {
        self.applied + self.pending > self.limit
    }
}

/// A verdict for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// On what takes something away.
    pub disruptions: Verdict,
    /// On mailboxes that come back; `None`: any number may.
    pub grants: Option<Verdict>,
}

impl Verdicts {
    /// The verdict on this direction; `None`: nothing of it is ever held.
    pub const fn of(self, direction: Direction) -> Option<Verdict> {
        match direction {
            Direction::TakesAway => Some(self.disruptions),
            Direction::GivesBack => self.grants,
        }
    }

    /// The directions of which everything is held that no approval lets through, and why.
    pub fn exceeded(self) -> impl Iterator<Item = (Direction, Verdict)> {
        let exceeded = move |direction| Some((direction, self.of(direction).filter(|verdict| verdict.exceeded())?));
        Direction::ALL.into_iter().filter_map(exceeded)
    }

    /// The verdict by which `change` is held, if it is.
    pub fn holding(self, change: &Change) -> Option<(Direction, Verdict)> {
        let direction = change.needs_budget()?;
        self.exceeded().find(|(exceeded, _)| *exceeded == direction)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, pending, limit, pending_changes, window, next_freed } = *self;
        let window = humantime::format_duration(window);
        let accounts = |number| several(number, "account");
        write!(f, "{} charged in the last {window} + {} pending, ", accounts(applied), accounts(pending))?;
        write!(f, "budget {}", accounts(limit))?;
        if pending_changes > 0 {
            let wait = if pending_changes == 1 { "waits" } else { "wait" };
            write!(f, "; {} {wait}", several(pending_changes, "change"))?;
        }
        match next_freed {
            Some(at) => write!(f, "; the window frees the next account at {at}"),
            None if !self.exceeded() => Ok(()),
            None if pending == 1 => f.write_str("; it never fits by itself"),
            None if pending > 1 => f.write_str("; they never fit by themselves"),
            None => f.write_str("; what waits never fits by itself"),
        }
    }
}

/// `1 account`, `2 accounts`.
fn several(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

fn humane<S: Serializer>(window: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_names_what_it_counts_and_says_when_the_window_frees_the_next_account() {
        let next_freed = Some(Timestamp::from_millis(3_600_000));
        let (window, pending_changes) = (Duration::from_secs(3600), 8);
        let verdict = Verdict { applied: 7, pending: 5, limit: 10, pending_changes, window, next_freed };
        insta::assert_snapshot!(verdict, @"7 accounts charged in the last 1h + 5 accounts pending, budget 10 accounts; 8 changes wait; the window frees the next account at 1970-01-01T01:00:00.000Z");
        let verdict = Verdict { applied: 1, pending: 11, limit: 10, pending_changes: 11, window, next_freed: None };
        insta::assert_snapshot!(verdict, @"1 account charged in the last 1h + 11 accounts pending, budget 10 accounts; 11 changes wait; they never fit by themselves");
        let verdict = Verdict { pending: 1, limit: 1, pending_changes: 1, window, ..Verdict::default() };
        insta::assert_snapshot!(verdict, @"0 accounts charged in the last 1h + 1 account pending, budget 1 account; 1 change waits");
    }

    #[test]
    fn what_is_more_than_the_budget_by_itself_is_freed_by_no_window() {
        use crate::account::AccountId;
        use crate::guard::{DisruptionBudget, Guard};

        let (window, now) = (Duration::from_secs(3600), Timestamp::from_millis(10_000_000));
        let [lately, other] = [1, 2].map(|n| AccountId::new(n).unwrap());
        let guard = |budget: &str| {
            let budget: DisruptionBudget = budget.parse().unwrap();
            Guard::new(budget, window, &[(lately, now)].into())
        };
        // Its other field waits: it counts once, and no other account does.
        let mut none = guard("0");
        none.set_pending(lately, 1);
        insta::assert_snapshot!(none.verdict(9, now), @"1 account charged in the last 1h + 0 accounts pending, budget 0 accounts; 1 change waits; what waits never fits by itself");
        insta::assert_snapshot!(none.verdict_on(other, 9, now), @"1 account charged in the last 1h + 1 account pending, budget 0 accounts; 1 change waits; it never fits by itself");
        let mut one = guard("1");
        one.set_pending(other, 1);
        assert_eq!(one.verdict(9, now).next_freed, Some(now + window));
        assert_eq!(one.verdict_on(lately, 9, now).next_freed, None);
    }
}
