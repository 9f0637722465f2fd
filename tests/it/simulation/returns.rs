//! Mailboxes that the process disabled come back: within the grant budget, or by an approval.
//!
//! In: records as the process hands them over and as they become durable. Out: an objection to every return beyond the
//! budget of the options. Where manifests say less, that is not looked at here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::validity::Validity;

use super::wall::shifted;

/// See the module.
#[derive(Default)]
pub struct Returns {
    /// How many accounts may come back within the window; `None`: any number.
    pub limit: Option<usize>,
    live: Book,
    durable: Book,
}

/// What is known of mailboxes.
#[derive(Clone, Default)]
struct Book {
    /// Those that are disabled, or may be: the last PUT that was begun or acknowledged disables them. Not those that were
    /// never known otherwise than as to come by their date.
    disabled: BTreeSet<AccountId>,
    /// Whether the account was one of them before the last intent, and whether that was a return which counts.
    before: BTreeMap<AccountId, (bool, bool)>,
    /// The returns that count, since their intents.
    charges: Vec<(Timestamp, AccountId)>,
}

impl Book {
    /// Whether `record` is a return that counts.
    fn counts(&self, record: &Record) -> Option<AccountId> {
        match record {
            Record::Intent { account, field: Field::Enabled, to: true, cause, .. } => {
                let approved = cause.as_ref().is_some_and(|cause| cause.approval.is_some());
                (!approved && self.disabled.contains(account)).then_some(*account)
            }
            _ => None,
        }
    }

    /// Whether the account is disabled from now on, or may be. Returns whether it was.
    fn note(&mut self, account: AccountId, disabled: bool) -> bool {
        if disabled { !self.disabled.insert(account) } else { self.disabled.remove(&account) }
    }

    fn live_through(&mut self, record: &Record, now: Timestamp) {
        let counts = self.counts(record);
        self.charges.extend(counts.map(|account| (now, account)));
        match record {
            Record::Intent { account, field: Field::Enabled, to, .. } => {
                let was = self.note(*account, !to);
                self.before.insert(*account, (was, counts.is_some()));
            }
            Record::Applied { account, field: Field::Enabled, value, evidence, .. } => {
                let to_come = evidence.as_ref().is_some_and(|by| {
                    (by.from, by.validity.and_then(Validity::reason)) == (Known::Absent, Some(Reason::NotYetValid))
                });
                self.note(*account, !value && !to_come);
            }
            Record::NotApplied { account, field: Field::Enabled, .. } => {
                let (was, counted) = self.before.remove(account).unwrap_or_default();
                self.note(*account, was);
                if counted && let Some(last) = self.charges.iter().rposition(|(_, other)| other == account) {
                    self.charges.remove(last);
                }
            }
            _ => {}
        }
    }
}

impl Returns {
    /// So many may come back; `None`: any number.
    pub fn within(limit: Option<usize>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// A process begins: what the one before it did not write down it does not know.
    pub fn begins(&mut self) {
        self.live = self.durable.clone();
    }

    /// The process hands over `record`, where returns count for `window` at least. Returns what speaks against it.
    pub fn appended(&mut self, record: &Record, window: Duration, now: Timestamp) -> Option<String> {
        let account = self.live.counts(record);
        let lately = self.live.charges.iter().filter(|(at, _)| *at > now.before(window)).map(|(_, other)| *other);
        let all = lately.chain(account).collect::<BTreeSet<_>>().len();
        self.live.live_through(record, now);
        let exceeds = self.limit.is_some_and(|limit| all > limit);
        account.filter(|_| exceeds).map(|account| format!("{account} comes back, one of {all} within the window"))
    }

    /// The record reached the disk, of a process whose clock is ahead by so many milliseconds.
    pub fn durable(&mut self, record: &Record, ahead: i64) {
        let now = match record {
            Record::Intent { at, .. } => shifted(*at, -ahead),
            _ => Timestamp::default(),
        };
        self.durable.live_through(record, now);
    }
}
