//! Why accounts are not as wanted: one of them, or all at once.
//!
//! In: what the conductor knows of the service, the ledger and the folder. Out: a kind of condition, a reason, and words.
//! Invariant: what stops everybody is told of each account that waits, so that nobody has to look in two places.

use crate::account::printable;
use crate::condition::{ConditionType, Reason};
use crate::freeze::Freeze;
use crate::ledger::{ImposedPause, Outage, OutageKind};
use crate::timestamp::Timestamp;

/// Why an account is not ready.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// `Reconciling`, `Stalled`, or neither.
    pub(super) kind: Option<ConditionType>,
    pub(super) reason: Reason,
    pub(super) message: Box<str>,
    /// Since when, if that is known.
    pub(super) since: Option<Timestamp>,
}

impl Trouble {
    pub(super) fn new(kind: impl Into<Option<ConditionType>>, reason: Reason, message: impl Into<Box<str>>) -> Self {
        Self { kind: kind.into(), reason, message: message.into(), since: None }
    }
}

/// How it goes on while the service is in trouble: what is said of that everywhere.
pub const PROBES: &str = "one request probes it from time to time";

/// Why no account's request can start now.
#[derive(Clone, Debug)]
pub struct BlockedBy {
    pub(super) trouble: Trouble,
    /// Nobody knows yet which accounts have a manifest.
    pub(super) unread: bool,
    /// Its words are what the service answered to an account.
    pub(super) is_answer: bool,
}

impl From<Trouble> for BlockedBy {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, unread: false, is_answer: false }
    }
}

impl BlockedBy {
    /// The manifests were not read so far, perhaps for a reason: an account without one is no orphan.
    pub fn unread(why: Option<&str>) -> Self {
        let message = why.map_or("manifests are being read".into(), printable::escape);
        let trouble = Trouble::new(ConditionType::Reconciling, Reason::Progressing, message);
        Self { trouble, unread: true, is_answer: false }
    }

    /// The condition of each account that waits for it.
    pub const fn kind(&self) -> Option<ConditionType> {
        self.trouble.kind
    }

    /// The service told everybody to wait.
    pub fn paused(pause: ImposedPause) -> Self {
        let message = format!("no request starts before {}, when the pause the service imposed is over", pause.until);
        Trouble::new(ConditionType::Reconciling, pause.reason, message).into()
    }

    /// Something keeps every request from succeeding.
    pub fn outage(Outage { kind, why, .. }: &Outage) -> Self {
        use ConditionType::{Reconciling, Stalled};
        let (condition, reason, message) = match kind {
            OutageKind::CredentialsRefused => {
                return Self {
                    trouble: Trouble::new(Stalled, Reason::Unauthorized, &**why),
                    unread: false,
                    is_answer: true,
                };
            }
            OutageKind::TokenUnavailable => {
                (Reconciling, Reason::TokenUnavailable, format!("{why}; it is asked for again at growing intervals"))
            }
            OutageKind::ServiceFails => (
                Reconciling,
                Reason::ServiceUnavailable,
                format!("the service fails one account after the other ({why}); {PROBES}"),
            ),
            OutageKind::RefusesAlike => (
                Reconciling,
                Reason::ProgressingWithRetry,
                format!(
                    "the service refuses one account after the other alike and accepts none, which has one cause ({why}); \
                     {PROBES}"
                ),
            ),
        };
        Trouble::new(condition, reason, message).into()
    }

    /// An operator suspended everything.
    pub fn suspended(freeze: &Freeze) -> Self {
        Trouble::new(None, Reason::Suspended, format!("all reconciling is {freeze}")).into()
    }

    /// The ledger cannot be written, since then if that is known.
    pub fn unrecorded(why: &str, since: Option<Timestamp>) -> Self {
        Trouble { since, ..Trouble::new(ConditionType::Reconciling, Reason::LedgerUnavailable, why) }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Field};
    use crate::desired::DesiredState;
    use crate::ledger::{Ledger, Owner, Record};
    use crate::status::{Part, list};
    use crate::timestamp::Timestamp;

    #[test]
    fn nobody_is_an_orphan_before_the_manifests_were_read() {
        let (mut ledger, now) = (Ledger::new(Owner::Sandbox), Timestamp::from_millis(1_000));
        let (account, field) = (AccountId::new(1).unwrap(), Field::Enabled);
        let intent = Record::Intent {
            at: now,
            account,
            name: "a".into(),
            zuid: None,
            field,
            to: true,
            spec_hash: 0,
            lands_by: None,
            cause: None,
        };
        ledger.apply(intent);
        let reason = |blocked_by: Option<&BlockedBy>| {
            let list = list(&DesiredState::new(), &ledger, Part::default(), |_| None, blocked_by, now);
            list.items[0].status.conditions.iter().map(|told| told.reason).collect::<Vec<_>>()
        };
        assert_eq!(reason(Some(&BlockedBy::unread(None))), [Reason::Progressing; 2], "Ready and Reconciling");
        assert_eq!(reason(None), [Reason::Orphaned]);
        assert_eq!(reason(Some(&BlockedBy::unrecorded("full", None))), [Reason::Orphaned]);
    }
}
