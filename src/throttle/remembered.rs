//! What a new process knows of the service: the pause that it imposed, and whether it was in trouble.
//!
//! In: the ledger. Out: how long nothing starts, and what the breaker is opened by.
//! Invariant: a process that begins again and again asks a service in trouble no more often than one that does not.

use super::PAUSE_MAX;
use super::breaker::Opened;
use crate::account::Field;
use crate::ledger::{FailedAttempt, FieldState, ImposedPause, Ledger, Outage, OutageKind, Row};
use crate::timestamp::Timestamp;
use crate::zoho::Code;

/// The pause in force at `now`, as the ledger remembers it. None ends later than [`PAUSE_MAX`] from now: a clock that ran
/// years ahead once must not stop everything until then.
pub fn remembered_pause(ledger: &Ledger, now: Timestamp) -> Option<ImposedPause> {
    let remembered: Option<ImposedPause> = ledger.pause.filter(|pause| pause.until > now);
    remembered.map(|pause| ImposedPause { until: pause.until.min(now + PAUSE_MAX), ..pause })
}

/// What was wrong with the service when it was last heard of: then one request probes it, and the others go once it accepts
/// one.
pub(super) fn trouble(ledger: &Ledger) -> Option<Opened> {
    let alike = ledger.outage.as_ref().filter(|outage| outage.kind == OutageKind::RefusesAlike);
    if let Some(Outage { since, .. }) = alike {
        // Those that opened it were refused by then; what was under way may have been refused otherwise.
        let opened = refusals(ledger).filter(|failed| failed.at <= *since).max_by_key(|failed| failed.at);
        let refused = opened.or_else(|| refusals(ledger).max_by_key(|failed| failed.at));
        if let Some((refused, code)) = refused.and_then(|refused| Some((refused, refused.code.parse().ok()?))) {
            return Some(Opened::Alike(refused.reason, Code::Http(code)));
        }
    }
    was_in_trouble(ledger).then_some(Opened::ByOne)
}

fn refusals(ledger: &Ledger) -> impl Iterator<Item = &FailedAttempt> {
    let failed = ledger.accounts.values().flat_map(|row| Field::ALL.into_iter().filter_map(|field| row.failed(field)));
    failed.filter(|failed| failed.reason.is_rejection())
}

/// Whether the service failed, or asked for a pause, when it was last heard of: then one request probes it, for
/// a process that crashes again and again must not ask a service in trouble more often than one that does not.
/// What was last heard may not have been written down: after a kill that comes between an answer and its record, all that
/// shows it is a PUT in doubt.
fn was_in_trouble(ledger: &Ledger) -> bool {
    let failed = |row: &Row, field| row.failed(field).is_some_and(|failed| !failed.reason.is_rejection());
    let in_doubt = |field: Option<&FieldState>| matches!(field, Some(FieldState::InDoubt { .. }));
    let is_open = |row: &Row| Field::ALL.into_iter().any(|field| failed(row, field) || in_doubt(row.field(field)));
    ledger.pause.is_some() || ledger.accounts.values().any(is_open)
}
