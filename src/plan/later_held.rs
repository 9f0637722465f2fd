//! When the dates of manifests bring more at once than a budget lets go.
//!
//! In: what is [`Upcoming`], what the ledger counts, what waits now. Out: [`LaterHeld`]s, the first in each direction.
//! Invariant: an account counts once, and for the window of the budget, as in [`crate::guard`]. What is held counts for as long
//! as it waits. Absent by design: edits to come.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Upcoming;
use crate::account::AccountId;
use crate::change::{Change, Direction};
use crate::guard::{Allowance, Reviewed};
use crate::ledger::Ledger;
use crate::timestamp::Timestamp;

/// A moment at which a budget is going to hold what dates want. Displays as people say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaterHeld {
    /// When.
    pub at: Timestamp,
    /// Whether accounts end then, which the disruption budget holds; otherwise mailboxes that this program disabled come
    /// back, which the grant budget holds.
    pub takes_away: bool,
    /// How many accounts end or begin at that moment.
    pub accounts: usize,
    /// How many others count at that moment: within the window before it, or because they are held now.
    pub others: usize,
    /// How many the budget lets go.
    pub limit: usize,
    /// For how long an account counts.
    #[serde(skip)]
    window: Duration,
}

impl LaterHeld {
    /// Which way the accounts go.
    pub const fn direction(&self) -> Direction {
        if self.takes_away { Direction::TakesAway } else { Direction::GivesBack }
    }
}

/// The first moment, in each direction, at which more comes `upcoming` than the budget of `managed` accounts lets go beside
/// what counts or waits by then.
pub fn later_held(
    upcoming: &[Upcoming],
    ledger: &Ledger,
    reviewed: &Reviewed,
    allowance: Allowance,
    managed: usize,
    now: Timestamp,
) -> Vec<LaterHeld> {
    let first = |direction| {
        let (budget, charged) = match direction {
            Direction::TakesAway => (allowance.max, &ledger.disruptions),
            Direction::GivesBack => (allowance.max_grants.0?, &ledger.returns),
        };
        let coming = upcoming.iter().filter(|one| one.needs_budget == Some(direction)).collect();
        Sweep { direction, charged, reviewed, window: allowance.window, now }.first(coming, budget.limit(managed))
    };
    Direction::ALL.into_iter().filter_map(first).collect()
}

/// One direction, from now on.
struct Sweep<'a> {
    direction: Direction,
    charged: &'a BTreeMap<AccountId, Timestamp>,
    reviewed: &'a Reviewed,
    window: Duration,
    now: Timestamp,
}

impl Sweep<'_> {
    fn first(self, coming: Vec<&Upcoming>, limit: usize) -> Option<LaterHeld> {
        let Sweep { direction, charged, reviewed: Reviewed { allowed, held, .. }, window, now } = self;
        let waits = |changes: &[Change]| -> BTreeSet<AccountId> {
            let waits = |change: &&Change| change.needs_budget() == Some(direction) && !change.refused;
            changes.iter().filter(waits).map(|change| change.account).collect()
        };
        let known = charged.iter().map(|(account, at)| (*at, *account));
        let goes_now = waits(allowed).into_iter().map(|account| (now, account));
        let mut events: Vec<_> = known.chain(goes_now).chain(coming.iter().map(|one| (one.at, one.account))).collect();
        events.sort_unstable();
        // Of each account that counts at a moment: by how many of the events.
        let mut count: BTreeMap<_, usize> = waits(held).into_iter().map(|account| (account, 1)).collect();
        let (mut entering, mut leaving) = (events.iter().peekable(), events.iter().peekable());
        coming.chunk_by(|a, b| a.at == b.at).find_map(|group| {
            let at = group.first()?.at;
            while let Some((_, account)) = entering.next_if(|(began, _)| *began <= at) {
                *count.entry(*account).or_default() += 1;
            }
            while let Some((_, account)) = leaving.next_if(|(began, _)| *began + window <= at) {
                if let Entry::Occupied(mut counted) = count.entry(*account) {
                    *counted.get_mut() -= 1;
                    if *counted.get() == 0 {
                        counted.remove();
                    }
                }
            }
            let accounts = group.len();
            // A window of no length lets all go at once, but for those of this moment.
            let total = count.len().max(accounts);
            let takes_away = direction == Direction::TakesAway;
            let is_held = || LaterHeld { at, takes_away, accounts, others: total - accounts, limit, window };
            (total > limit).then(is_held)
        })
    }
}

impl fmt::Display for LaterHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, takes_away, accounts, others, limit, window } = *self;
        let does = if takes_away { "end" } else { "begin" };
        let one = accounts == 1;
        let (s, dates) = if one { ("", "s by its date") } else { ("s", " by their dates") };
        write!(f, "{accounts} account{s} {does}{dates} at {at}")?;
        if others > 0 {
            let s = if others == 1 { "" } else { "s" };
            write!(f, ", beside {others} other{s} within {}", humantime::format_duration(window))?;
        }
        let (held, them) = if one { ("it is", "it") } else { ("they are", "them") };
        let budget = self.direction().budget();
        write!(
            f,
            ", and the {budget} lets {limit} go: {held} held then, unless an approval covers {them} at that moment"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{Field, SourceRef};
    use crate::change::Known;
    use crate::guard::{DisruptionBudget, GrantBudget};
    use crate::ledger::Owner;

    const NOW: u64 = 10_000;
    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn id(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    fn change(n: &u64) -> Change {
        Change {
            account: id(*n),
            name: "a".into(),
            zuid: None,
            field: Field::Enabled,
            from: Known::Applied(true),
            to: false,
            source: SourceRef { path: "a.yaml".into(), line: 1 },
            revision: Arc::default(),
            approval: None,
            not_before: None,
            begun: false,
            refused: false,
            validity: None,
            wanted_since: None,
            gives_back: false,
            drift: None,
        }
    }

    /// Of accounts that end so many seconds from now, where two may go in an hour, others did so many seconds ago, and
    /// these are `pending` and `held`: at which second how many are held beside how many others.
    fn check(
        ends: &[(u64, u64)],
        gone: &[(u64, u64)],
        [pending, held]: [&[u64]; 2],
        expected: Option<(u64, usize, usize)>,
    ) {
        let coming = |(n, after): &(u64, u64)| Upcoming {
            at: at(NOW + after),
            account: id(*n),
            name: "a".into(),
            source: SourceRef { path: "a.yaml".into(), line: 1 },
            takes_away: true,
            needs_budget: Some(Direction::TakesAway),
        };
        let mut ledger = Ledger::new(Owner::User);
        ledger.disruptions = gone.iter().map(|(n, ago)| (id(*n), at(NOW - ago))).collect();
        let reviewed = Reviewed {
            allowed: pending.iter().map(change).collect(),
            held: held.iter().map(change).collect(),
            ..Reviewed::default()
        };
        let max: DisruptionBudget = "2".parse().unwrap();
        let allowance = Allowance { max, max_grants: GrantBudget(None), window: Duration::from_secs(HOUR) };
        let upcoming: Vec<_> = ends.iter().map(coming).collect();
        let found = later_held(&upcoming, &ledger, &reviewed, allowance, 99, at(NOW));
        let found = found.first().map(|held| (held.at.as_millis() / 1000 - NOW, held.accounts, held.others));
        assert_eq!(found, expected, "{ends:?} beside {gone:?}, {pending:?} and {held:?}");
    }

    #[test]
    fn what_ends_is_counted_with_what_the_window_holds_at_that_moment() {
        let none = [&[][..], &[]];
        check(&[(1, 5), (2, 5)], &[], none, None);
        check(&[(1, 5), (2, 5), (3, 5)], &[], none, Some((5, 3, 0)));
        check(&[(1, 5), (2, 6), (3, HOUR + 4)], &[], none, Some((HOUR + 4, 1, 2)));
        check(&[(1, 5), (2, 6), (3, HOUR + 5)], &[], none, None);
        // What is charged leaves the window, and what goes now enters it.
        check(&[(1, HOUR - 60)], &[(8, 59), (9, 0)], none, Some((HOUR - 60, 1, 2)));
        check(&[(1, HOUR - 60)], &[(8, 60), (9, 0)], none, None);
        check(&[(1, HOUR - 1)], &[], [&[8, 9], &[]], Some((HOUR - 1, 1, 2)));
        check(&[(1, HOUR)], &[], [&[8, 9], &[]], None);
        check(&[(1, 9 * HOUR)], &[], [&[], &[7, 8, 9]], Some((9 * HOUR, 1, 3)));
        // An account counts once.
        check(&[(1, 5), (2, 5)], &[(1, 60)], [&[2], &[]], None);
    }
}
