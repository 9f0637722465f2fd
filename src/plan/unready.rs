//! Since when an account is not ready, and what of it is missing.
//!
//! In: its plan, how its manifest stands, what was missing before. Out: [`Unready`], or nothing if it is ready.
//! Invariant: what is missing still has been missing since then, whoever asks: the controller, which has the ledger
//! remember it, and `status`, which reads that.

use super::AccountPlan;
use crate::desired::{DesiredAccount, Standing};
use crate::ledger::{Unready, Wanted};
use crate::timestamp::Timestamp;

/// What is missing at `now` of the account with this `plan`; `before` is what was missing when it was last looked at.
pub fn unready(
    plan: &AccountPlan,
    desired: Option<DesiredAccount<'_>>,
    before: Option<&Unready>,
    now: Timestamp,
) -> Option<Unready> {
    let mut unready = Unready::new(before.map_or(now, |before| before.since));
    for change in &plan.changes {
        let same = before.and_then(|before| before.field(change.field)).filter(|wanted| wanted.to == change.to);
        *unready.field_mut(change.field) = Some(same.unwrap_or(Wanted { to: change.to, since: now }));
    }
    let is_broken = desired.is_some_and(|desired| desired.standing == Standing::LastGood);
    unready.unreconciled = plan.blocked.is_some() || is_broken || !plan.drifted.is_empty();
    Some(unready).filter(|unready| !unready.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{AccountId, Field, SourceRef};
    use crate::change::{Change, Known};
    use crate::condition::Reason;

    fn plan(wanted: &[(Field, bool)]) -> AccountPlan {
        let change = |&(field, to): &(Field, bool)| Change {
            account: AccountId::new(1).unwrap(),
            name: "a".into(),
            zuid: None,
            field,
            from: Known::Absent,
            to,
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
        };
        AccountPlan { changes: wanted.iter().map(change).collect(), blocked: None, drifted: Vec::new() }
    }

    #[test]
    fn what_is_missing_has_been_so_since_it_was_first_wanted_and_the_account_since_it_was_last_ready() {
        use Field::{ActiveSyncEnabled, Enabled};
        let at = Timestamp::from_millis;
        let suspended = AccountPlan { changes: Vec::new(), blocked: Some(Reason::Suspended), drifted: Vec::new() };
        let steps = [
            (1, plan(&[(Enabled, true)]), Some((1, Some(1)))),
            (2, plan(&[(Enabled, true), (ActiveSyncEnabled, true)]), Some((1, Some(1)))),
            (3, plan(&[(ActiveSyncEnabled, true)]), Some((1, Some(2)))),
            (4, plan(&[(ActiveSyncEnabled, false)]), Some((1, Some(4)))),
            (5, suspended, Some((1, None))),
            (6, plan(&[(ActiveSyncEnabled, false)]), Some((1, Some(6)))),
            (7, plan(&[]), None),
            (8, plan(&[(Enabled, true)]), Some((8, Some(8)))),
        ];
        let mut before = None;
        for (now, plan, expected) in steps {
            let after = unready(&plan, None, before.as_ref(), at(now));
            assert_eq!(after, unready(&plan, None, after.as_ref(), at(now + 1)), "looking twice changes nothing");
            let seen = after.map(|unready| (unready.since, unready.pending_since()));
            assert_eq!(seen, expected.map(|(since, pending)| (at(since), pending.map(at))), "{now}");
            before = after;
        }
    }
}
