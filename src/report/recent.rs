//! The changes that the service acknowledged last.
//!
//! In: the ledger at the start, then each acknowledgement. Out: [`Recent`], the newest first.
//! Invariant: at most [`RECENT_MAX`] are kept, whatever the number of accounts. Deliberately absent: all that came
//! before, which the audit log keeps and `history` shows.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::account::{AccountId, Field, SourceRef};
use crate::ledger::{FieldState, Ledger};
use crate::revision::Revision;
use crate::timestamp::Timestamp;

/// How many changes are kept: more than a person reads, and some 100 KB.
pub const RECENT_MAX: usize = 256;

/// One PUT that the service acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// The account on the service.
    pub account: AccountId,
    /// The manifest's name.
    pub name: Arc<str>,
    /// What was changed.
    pub field: Field,
    /// What it is since.
    pub to: bool,
    /// The manifest that wanted it.
    pub source: SourceRef,
    /// The revision at which it came to want it; of what was acknowledged before the start, its id alone.
    #[serde(flatten)]
    pub revision: Arc<Revision>,
    /// The `DisruptionApproval` that let it through, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<str>>,
}

/// The changes that were acknowledged last, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recent(VecDeque<Arc<Acknowledged>>);

impl Recent {
    /// What the ledger's rows tell of it: of each field the last change.
    pub fn restore(ledger: &Ledger) -> Self {
        let mut last = BTreeSet::new();
        for (account, row) in &ledger.accounts {
            for field in Field::ALL {
                let Some((at, ..)) = row.field(field).and_then(acknowledged) else { continue };
                last.insert((at, *account, field));
                if last.len() > RECENT_MAX {
                    last.pop_first();
                }
            }
        }
        let restored = |(_, account, field): (Timestamp, AccountId, Field)| {
            let row = ledger.accounts.get(&account)?;
            let (at, to, source, revision) = row.field(field).and_then(acknowledged)?;
            let id = revision.map_or_else(|| Revision::default().id, Arc::clone);
            let (revision, source) = (Arc::new(Revision { id, ..Revision::default() }), source.clone());
            let name = Arc::clone(&row.name);
            Some(Arc::new(Acknowledged { at, account, name, field, to, source, revision, approval: None }))
        };
        Self(last.into_iter().rev().filter_map(restored).collect())
    }

    /// Keeps one more, and lets go of the oldest.
    pub fn add(&mut self, acknowledged: Acknowledged) {
        self.0.truncate(RECENT_MAX - 1);
        self.0.push_front(Arc::new(acknowledged));
    }

    /// The newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Acknowledged> {
        self.0.iter().map(|acknowledged| &**acknowledged)
    }
}

const fn acknowledged(state: &FieldState) -> Option<(Timestamp, bool, &SourceRef, Option<&Arc<str>>)> {
    match state {
        FieldState::Applied { value, applied_at, source, revision }
        | FieldState::Unsettled { value, applied_at, source, revision, .. } => {
            Some((*applied_at, *value, source, revision.as_ref()))
        }
        FieldState::InDoubt { .. } | FieldState::Read { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Owner, Record};

    /// So many accounts, each acknowledged a moment after the one before.
    fn ledger(accounts: u64) -> Ledger {
        let mut ledger = Ledger::new(Owner::Sandbox);
        for n in 1..=accounts {
            let (account, at, field) = (AccountId::new(n).unwrap(), Timestamp::from_millis(n), Field::Enabled);
            let (name, zuid, to) = (format!("a{n}").into(), None, true);
            let source = SourceRef { path: "a.yaml".into(), line: 1 };
            let (spec_hash, lands_by, cause) = (1, None, None);
            ledger.apply(Record::Intent { at, account, name, zuid, field, to, spec_hash, lands_by, cause });
            ledger.apply(Record::Applied { at, account, field, value: to, source, evidence: None });
        }
        ledger
    }

    #[test]
    fn a_restart_remembers_the_newest_changes_and_no_more_than_a_bounded_number_of_them() {
        let accounts = RECENT_MAX as u64 + 50;
        let mut recent = Recent::restore(&ledger(accounts));
        let newest: Vec<_> = recent.iter().map(|change| change.at.as_millis()).collect();
        assert_eq!(newest, (51..=accounts).rev().collect::<Vec<_>>());
        let next = Acknowledged { at: Timestamp::from_millis(9_999), ..recent.iter().next().unwrap().clone() };
        recent.add(next.clone());
        assert_eq!((recent.iter().next(), recent.iter().count()), (Some(&next), RECENT_MAX));
    }
}
