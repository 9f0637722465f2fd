//! What is said of an account: of its changes, of a suspension, of dates.
//!
//! In: its desired state, its changes. Out: messages of conditions, and parts of them, on one line.

use crate::account::{Field, printable};
use crate::change::Change;
use crate::condition::Reason;
use crate::desired::DesiredAccount;
use crate::ledger::{CORRECTIONS_MAX, FieldState, Row};
use crate::plan::Drifted;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// Why nothing is missing of an account, and what its manifest's dates bring next.
pub(super) fn ready(desired: Option<DesiredAccount<'_>>, row: Option<&Row>, now: Timestamp) -> (Reason, String) {
    let is_read =
        |field| row.and_then(|row| row.field(field)).is_some_and(|state| matches!(state, FieldState::Read { .. }));
    let done = if Field::ALL.into_iter().any(is_read) {
        "everything the manifest wants has been acknowledged, or was so when the service was read"
    } else {
        "everything the manifest wants has been acknowledged"
    };
    let dated = desired.and_then(|desired| Some((desired.validity(row, now)?, desired.spec.period.as_deref()?)));
    let Some((validity, period)) = dated else { return (Reason::ReconciliationSucceeded, done.into()) };
    match validity {
        Validity::NoLongerValid { since } if now < since => {
            let message =
                format!("{validity}: it ended before the clock was set back; another validUntil begins it anew");
            (Reason::NoLongerValid, message)
        }
        Validity::NotYetValid { .. } | Validity::NoLongerValid { .. } => {
            let message = format!("{validity}: every field that the manifest manages is false, as was acknowledged");
            (validity.reason().unwrap_or(Reason::ReconciliationSucceeded), message)
        }
        Validity::Valid { .. } => {
            let until = period.until.map_or_else(String::new, |until| format!("; valid until {until}"));
            (Reason::ReconciliationSucceeded, format!("{done}{until}"))
        }
    }
}

/// What was attempted, for words about how it ended.
pub fn attempt(change: &Change) -> String {
    format!("{} to {}", change.field, change.to)
}

pub(super) fn describe<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let part = |change: &Change| {
        let dated = change.validity.map_or_else(String::new, |validity| format!(" ({validity})"));
        let why = change.not_before.map_or_else(String::new, |until| format!(" ({})", unsettled(until)));
        format!("{} {} -> {}{dated}{why}", change.field, change.from, change.to)
    };
    changes.map(part).collect::<Vec<_>>().join(", ")
}

/// What somebody changed elsewhere.
pub(super) fn drifted(drifted: &Drifted) -> String {
    let Drifted { field, found, since, flaps } = drifted;
    let what = format!("the service shows {field} {found} since {since}, and {} is wanted", drifted.wanted());
    if *flaps {
        format!("{what}; it was corrected {CORRECTIONS_MAX} times within a day and came back, so it is left as it is")
    } else {
        what
    }
}

/// Why what was acknowledged is in doubt all the same.
pub fn unsettled(until: Timestamp) -> String {
    format!("acknowledged, but an earlier PUT of the other value may still take effect; sent once more at {until}")
}

/// The same text from the daemon and from a command, whether a daemon runs or not.
pub(super) fn broken(file: &str) -> String {
    let file = printable::escape(file);
    format!(
        "{file} is broken; see `validate`. A daemon that read it before goes on with what it said then, and nothing else"
    )
}

pub(super) fn suspension(desired: DesiredAccount<'_>) -> String {
    let suspend = desired.spec.suspend.as_deref().cloned().unwrap_or_default();
    let until = suspend.until.map_or_else(String::new, |until| format!(" until {until}"));
    let reason = suspend.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    format!("suspended by {}{until}{reason}", desired.source)
}
