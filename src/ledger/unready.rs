//! Since when an account is not as its manifest wants it, and what of it is missing.
//!
//! In: what a plan finds missing. Out: [`Unready`], which survives a restart.
//! Invariants: an account has one exactly while it is not ready; each part keeps its moment for as long as the same is
//! missing. Absent by design: how it is found out (see [`crate::plan::unready`]).

use serde::{Deserialize, Serialize};

use crate::account::Field;
use crate::timestamp::Timestamp;

/// A value that is wanted and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    /// The value.
    pub to: bool,
    /// Since when.
    pub since: Timestamp,
}

/// What is missing of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unready {
    /// Since when the account is not ready, whatever was missing of it in that time.
    pub since: Timestamp,
    /// Of the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<Wanted>,
    /// Of the ActiveSync flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync_enabled: Option<Wanted>,
    /// The account as a whole is not reconciled: it is suspended, claimed twice, orphaned, or its manifest is broken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreconciled: bool,
}

impl Unready {
    /// Nothing is missing yet.
    pub const fn new(since: Timestamp) -> Self {
        Self { since, enabled: None, active_sync_enabled: None, unreconciled: false }
    }

    /// What is missing of `field`.
    pub const fn field(&self, field: Field) -> Option<Wanted> {
        match field {
            Field::Enabled => self.enabled,
            Field::ActiveSyncEnabled => self.active_sync_enabled,
        }
    }

    /// The same, to be set.
    pub const fn field_mut(&mut self, field: Field) -> &mut Option<Wanted> {
        match field {
            Field::Enabled => &mut self.enabled,
            Field::ActiveSyncEnabled => &mut self.active_sync_enabled,
        }
    }

    /// Whether nothing is missing.
    pub const fn is_empty(&self) -> bool {
        self.enabled.is_none() && self.active_sync_enabled.is_none() && !self.unreconciled
    }

    /// Since when the older of its changes waits, if one does.
    pub fn pending_since(&self) -> Option<Timestamp> {
        let fields = [self.enabled, self.active_sync_enabled];
        fields.into_iter().flatten().map(|wanted| wanted.since).min()
    }

    /// When the newest of it began.
    pub(super) fn latest(&self) -> Timestamp {
        let fields = [self.enabled, self.active_sync_enabled];
        fields.into_iter().flatten().map(|wanted| wanted.since).fold(self.since, Timestamp::max)
    }

    pub(super) fn retime(&mut self, began: impl Fn(Timestamp) -> Timestamp) {
        self.since = began(self.since);
        let fields = [&mut self.enabled, &mut self.active_sync_enabled];
        fields.into_iter().flatten().for_each(|wanted| wanted.since = began(wanted.since));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{account, after, applied, at, intent, owner};
    use super::super::{Ledger, Record};
    use super::*;

    #[test]
    fn a_row_knows_since_when_its_account_is_ready_without_a_put_until_one_is_acknowledged_and_a_step_carries_it() {
        let unready = |unready, ready_since| Record::Unready { account: account(1), unready, ready_since };
        let put = [intent(1, Field::Enabled, true), applied(1, Field::Enabled, true)];
        let ready = [unready(Some(Unready::new(at(3))), None), unready(None, Some(at(9)))];
        let ledger = after(after(Ledger::new(owner()), &put), &ready);
        let since = |ledger: &Ledger| ledger.accounts[&account(1)].ready_since;
        assert_eq!(since(&ledger), Some(at(9)));
        let stepped = |from, to| after(ledger.clone(), &[Record::ClockStepped { from: at(from), to: at(to) }]);
        assert_eq!((since(&stepped(10, 20)), since(&stepped(10, 5))), (Some(at(19)), Some(at(4))));
        assert_eq!(since(&after(ledger, &put)), None, "the acknowledgement says it");
    }
}
