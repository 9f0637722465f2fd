//! What the dates of manifests bring later: who begins and ends when, and which budget has to let it go.
//!
//! In: the desired state, the ledger. Out: [`Upcoming`] boundaries by their moments.
//! Invariant: whatever is said to come is what [`super::plan_account`] wants at that moment, if nothing is edited before.
//! Absent by design: whether a budget lets it go (see [`super::later_held()`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{AccountId, Field, MailAccountSpec, SourceRef};
use crate::change::{Direction, Known};
use crate::desired::{DesiredState, Standing};
use crate::ledger::{Ledger, Row};
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
    /// The budget that has to let it go, if no approval does.
    #[serde(skip)]
    pub needs_budget: Option<Direction>,
}

/// What comes after `now`, in the order in which it does.
pub fn upcoming(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Vec<Upcoming> {
    let mut all = Vec::new();
    for (id, account) in desired.iter() {
        let Some(period) = account.spec.period.as_deref() else { continue };
        let row = ledger.accounts.get(&id);
        let on: Vec<_> = Field::ALL.into_iter().filter(|field| account.spec.written(*field) == Some(true)).collect();
        let is_over = row.and_then(Row::ended).is_some_and(|ended| period.until == Some(ended));
        if is_over || on.is_empty() || matches!(account.standing, Standing::Duplicate { .. }) {
            continue;
        }
        let moments: BTreeSet<_> = period.boundaries().filter_map(|date| takes_effect(account.spec, date)).collect();
        for at in moments.into_iter().filter(|at| now < *at) {
            let takes_away = !period.at(None, at).is_valid();
            if takes_away && account.protected {
                continue;
            }
            let direction = if takes_away { Direction::TakesAway } else { Direction::GivesBack };
            let counts = takes_away || account.spec.enabled == Some(true) && is_taken_away(row);
            // What comes back is the mailbox; the other field follows it.
            let mut counted = on.iter().filter(|field| takes_away || **field == Field::Enabled);
            let is_approved = counted.all(|field| account.approval(*field, direction, at).is_some());
            let needs_budget = (counts && !is_approved).then_some(direction);
            let (name, source) = (Arc::clone(account.name), account.source.clone());
            all.push(Upcoming { at, account: id, name, source, takes_away, needs_budget });
        }
    }
    all.sort_by(|a, b| (a.at, a.takes_away, &a.name).cmp(&(b.at, b.takes_away, &b.name)));
    all
}

/// When a date of the manifest takes effect: once a suspension is over that lasts beyond it; `None` if that has no end.
fn takes_effect(spec: &MailAccountSpec, date: Timestamp) -> Option<Timestamp> {
    match &spec.suspend {
        Some(suspend) if spec.is_suspended(date) => suspend.until,
        _ => Some(date),
    }
}

/// Whether the mailbox of an account that has yet to begin was taken away before, or is being so: then it comes back.
fn is_taken_away(row: Option<&Row>) -> bool {
    row.is_some_and(|row| row.is_disabled() || row.known(Field::Enabled) == Known::Applied(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Look;
    use crate::ledger::Owner;
    use crate::manifest::{Rules, parse};

    /// What is to come of accounts with these specs, a line each.
    fn check(specs: &[&str], expected: &[&str]) {
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
    }

    const ENDS: &str = "enabled: true, validUntil: 1970-01-01T01:00:00Z";

    #[test]
    fn what_is_to_come_is_told_in_its_order_and_nothing_of_what_nothing_comes_of() {
        let both = "enabled: true, validFrom: 1970-01-01T00:00:01Z, validUntil: 1970-01-01T00:00:02Z";
        check(&[ENDS, both], &["1000 a1 false", "2000 a1 true", "3600000 a0 true"]);
        let off = "enabled: false, validUntil: 1970-01-01T01:00:00Z";
        let asleep = "enabled: true, suspend: true, validUntil: 1970-01-01T01:00:00Z";
        check(&[off, asleep, "enabled: true"], &[]);
        // A suspension that ends puts off what comes before.
        let awake = |until: &str| format!("{both}, suspend: true, suspendUntil: 1970-01-01T00:00:0{until}Z");
        check(&[&awake("1")], &["1000 a0 false", "2000 a0 true"]);
        check(&[&awake("2")], &["2000 a0 true"]);
        check(&[&awake("3")], &["3000 a0 true"]);
    }
}
