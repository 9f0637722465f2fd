//! What the dates of manifests bring later: who begins and ends when, and whether the budget will let it go.
//!
//! In: the desired state, the ledger, the budget. Out: [`Upcoming`] boundaries by their moments; words for the first day on
//! which more ends than the budget allows.
//! Invariant: whatever is said to come is what [`super::plan_account`] wants at that moment, if nothing is edited before.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{AccountId, Field, SourceRef};
use crate::change::Direction;
use crate::desired::{DesiredState, Standing};
use crate::guard::Allowance;
use crate::ledger::Ledger;
use crate::timestamp::Timestamp;

/// A date at which something else is wanted of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upcoming {
    /// When.
    pub at: Timestamp,
    /// The account on the service.
    pub account: AccountId,
    /// The manifest's `metadata.name`.
    pub name: Arc<str>,
    /// Where it is declared.
    pub source: SourceRef,
    /// Whether every managed field is wanted false from then on; otherwise, what the manifest says.
    pub takes_away: bool,
    /// Whether only the disruption budget can let it go.
    #[serde(skip)]
    pub needs_budget: bool,
}

/// What comes after `now`, in the order in which it does.
pub fn upcoming(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Vec<Upcoming> {
    let mut all = Vec::new();
    for (id, account) in desired.iter() {
        let Some(period) = account.spec.period.as_deref() else { continue };
        let row = ledger.accounts.get(&id);
        let on: Vec<_> = Field::ALL.into_iter().filter(|field| account.spec.written(*field) == Some(true)).collect();
        let is_over = account.validity(row, now).and_then(|validity| validity.ended()).is_some();
        if is_over || on.is_empty() || matches!(account.standing, Standing::Duplicate { .. }) {
            continue;
        }
        for at in period.boundaries().filter(|at| now < *at && !account.spec.is_suspended(*at)) {
            let takes_away = !period.at(None, at).is_valid();
            if takes_away && account.protected {
                continue;
            }
            let needs_budget =
                takes_away && on.iter().any(|field| account.approval(*field, Direction::TakesAway, at).is_none());
            let (name, source) = (Arc::clone(account.name), account.source.clone());
            all.push(Upcoming { at, account: id, name, source, takes_away, needs_budget });
        }
    }
    all.sort_by(|a, b| (a.at, a.takes_away, &a.name).cmp(&(b.at, b.takes_away, &b.name)));
    all
}

/// What to know of the first time at which more accounts end within the window of the budget than it allows of `managed`.
pub fn too_many(upcoming: &[Upcoming], Allowance { max, window, .. }: Allowance, managed: usize) -> Option<String> {
    let ends: Vec<_> = upcoming.iter().filter(|upcoming| upcoming.needs_budget).collect();
    let limit = max.limit(managed);
    // They are in the order of their moments.
    let before = |at: Timestamp| ends.partition_point(|end| end.at < at);
    let (first, number) =
        ends.iter().map(|end| (end.at, before(end.at + window) - before(end.at))).find(|(_, n)| *n > limit)?;
    let window = humantime::format_duration(window);
    Some(format!(
        "{number} accounts end by their dates within {window} from {first} on, and the disruption budget lets {limit} go: they are \
         held then, unless an approval covers them at that moment"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Look;
    use crate::guard::GrantBudget;
    use crate::ledger::Owner;
    use crate::manifest::{Rules, parse};

    /// What is to come of accounts with these specs, a line each; and what of it is too much for a budget of one.
    fn check(specs: &[&str], expected: &[&str], crowd: Option<&str>) {
        let mut desired = DesiredState::new();
        for (n, spec) in specs.iter().enumerate() {
            let text = format!(
                "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{n}}}\n\
                 spec: {{accountId: {}, zuid: 9{n}, {spec}}}\n",
                n + 1
            );
            let path: Arc<str> = format!("a{n}.yaml").into();
            let parsed = parse(&path, text.as_bytes(), Rules::default());
            assert_eq!(parsed.problems, []);
            desired.update(&path, Look::Parsed(parsed));
        }
        let coming = upcoming(&desired, &Ledger::new(Owner::User), Timestamp::from_millis(0));
        let line = |one: &Upcoming| format!("{} {} {}", one.at.as_millis(), one.name, one.takes_away);
        assert_eq!(coming.iter().map(line).collect::<Vec<_>>(), expected);
        let (max, window) = ("1".parse().unwrap(), std::time::Duration::from_secs(3600));
        let budget = Allowance { max, window, max_grants: GrantBudget::default() };
        assert_eq!(too_many(&coming, budget, specs.len()).as_deref(), crowd);
    }

    const ENDS: &str = "enabled: true, validUntil: 1970-01-01T01:00:00Z";

    #[test]
    fn what_is_to_come_is_told_in_its_order_and_nothing_of_what_nothing_comes_of() {
        let both = "enabled: true, validFrom: 1970-01-01T00:00:01Z, validUntil: 1970-01-01T00:00:02Z";
        check(
            &[ENDS, both],
            &["1000 a1 false", "2000 a1 true", "3600000 a0 true"],
            Some(
                "2 accounts end by their dates within 1h from 1970-01-01T00:00:02.000Z on, and the disruption budget lets 1 go: \
             they are held then, unless an approval covers them at that moment",
            ),
        );
        let off = "enabled: false, validUntil: 1970-01-01T01:00:00Z";
        let asleep = "enabled: true, suspend: true, validUntil: 1970-01-01T01:00:00Z";
        check(&[off, asleep, "enabled: true"], &[], None);
    }

    #[test]
    fn two_that_end_a_window_apart_are_not_too_many() {
        let later = "enabled: true, validUntil: 1970-01-01T02:00:00Z";
        check(&[ENDS, later], &["3600000 a0 true", "7200000 a1 true"], None);
    }
}
