//! What keeps every request from succeeding: when it is found out, and when it is over.
//!
//! In: what answers tell; whether anything is left to send. Out: the ledger's [`Outage`], brought up to date; what of it is
//! news for the log; the end of a single pass that cannot go on.
//! Invariants: the ledger's outage is the only memory of it, so that log, status, page, metrics and the next process say the
//! same; it ends by an answer that tells otherwise, or when nothing is left to send, which nothing would find out about.

use std::time::Duration;

use super::{APPLY_PROBES, Machine};
use crate::change::{Failure, Outcome};
use crate::controller::event::{RequestLog, StateLog};
use crate::ledger::{Outage, OutageKind, Record};
use crate::throttle::Admission;
use crate::timestamp::Timestamp;

/// The longest wait for a probe of what was all refused alike: a cause that has lasted for days is no sooner mended.
const REFUSED_PROBE_MAX: Duration = Duration::from_secs(3600);

/// Which part of the time that it has lasted may pass before such a cause is found to be over.
const REFUSED_PROBE_SHARE: u32 = 8;

impl Machine {
    /// A request found it so, in these words. Returns whether that is news.
    pub(super) fn begin_outage(&mut self, kind: OutageKind, why: &str, now: Timestamp) -> bool {
        let before = self.ledger.outage.as_ref().filter(|outage| outage.kind == kind);
        let is_new = before.is_none_or(|outage| *outage.why != *why);
        let outage = Outage {
            kind,
            why: why.into(),
            since: before.map_or(now, |outage| outage.since),
            failures: before.map_or(1, |outage| outage.failures.saturating_add(1)),
        };
        // How often is asked of tokens alone; of the others a record for each trial would say nothing.
        if is_new || kind == OutageKind::TokenUnavailable {
            self.record(Record::Outage { outage: Some(Box::new(outage)) }, now);
        }
        let was_confirmed = std::mem::replace(&mut self.outage_confirmed, true);
        is_new || !was_confirmed
    }

    /// An answer tells that it is over, if it is of one of these kinds. Returns whether it was.
    pub(super) fn end_outage(&mut self, kinds: &[OutageKind], now: Timestamp) -> bool {
        let is_over = self.ledger.outage.as_ref().is_some_and(|outage| kinds.contains(&outage.kind));
        if is_over {
            self.record(Record::Outage { outage: None }, now);
        }
        is_over
    }

    /// With nothing to send nothing is asked for, so what is known gets old.
    pub(super) fn end_outage_if_idle(&mut self, now: Timestamp) {
        let asks = self
            .reading
            .as_ref()
            .is_some_and(|reading| reading.is_under_way() || reading.due().is_some_and(|due| due <= now));
        let is_idle = self.queue.depth() == 0 && self.inflight.len() == 0 && !asks;
        if is_idle && self.folder.is_loaded() && self.ledger.outage.is_some() {
            self.record(Record::Outage { outage: None }, now);
        }
    }

    /// The credentials do not work.
    pub(super) fn credentials_refused(&mut self, failure: Failure, now: Timestamp) {
        self.pass.give_up(|| format!("the credentials do not work: {}", failure.message));
        if self.begin_outage(OutageKind::CredentialsRefused, &failure.message, now) {
            self.log(RequestLog::CredentialsRefused(failure));
        }
    }

    /// A PUT ended so, and with that the breaker `opened` or did not; `before`, this was known to be wrong.
    pub(super) fn note_service(&mut self, outcome: &Outcome, before: Option<OutageKind>, opened: bool, now: Timestamp) {
        let trouble = self.throttle.trouble();
        let why = outcome.failure().map_or("", |failure| &failure.message);
        match trouble {
            // A probe that fails says nothing of why accounts were refused alike.
            Some(OutageKind::RefusesAlike) if !matches!(outcome, Outcome::Rejected(_)) => {}
            // Probes that fail as well are no news.
            Some(kind) if opened => {
                let is_known = self.outage_confirmed && self.ledger.outage.as_ref().is_some_and(|is| is.kind == kind);
                self.begin_outage(kind, why, now);
                if !is_known {
                    self.log(RequestLog::InTrouble(kind, why.to_owned()));
                }
            }
            Some(_) => {}
            None => {
                let is_over = match outcome {
                    Outcome::Applied => &[OutageKind::ServiceFails, OutageKind::RefusesAlike][..],
                    // It was refused otherwise than those before.
                    Outcome::Rejected(_) if before == Some(OutageKind::RefusesAlike) => &[OutageKind::RefusesAlike],
                    Outcome::Rejected(_) => &[OutageKind::ServiceFails],
                    _ => &[],
                };
                if self.end_outage(is_over, now) && *outcome == Outcome::Applied {
                    self.log(RequestLog::AnswersAgain);
                }
            }
        }
        if opened && self.throttle.failed_probes() > APPLY_PROBES {
            let what = match trouble {
                Some(OutageKind::RefusesAlike) => "refuses one account after the other alike",
                _ => "is not available",
            };
            self.pass.give_up(|| format!("the service {what}: {why}"));
        }
    }

    /// What one cause refused is tried again without waiting for its own turn: with the service's next probe, the account
    /// that was refused longest ago; ever more seldom, for that is all there is to send.
    pub(super) fn probe_with_what_was_refused(&mut self, now: Timestamp) {
        let until = match self.throttle.admit_put(now) {
            Admission::At(until, _) => until,
            Admission::Now | Admission::AfterAnother(_) => now,
        };
        let outage = self.ledger.outage.as_ref().filter(|outage| outage.kind == OutageKind::RefusesAlike);
        let lasted = outage.map_or(Duration::ZERO, |outage| now.since(outage.since));
        let until = until.max(now + (lasted / REFUSED_PROBE_SHARE).min(REFUSED_PROBE_MAX));
        let refused = self.backlog.rejected().into_iter().filter(|account| self.inflight.get(*account).is_none());
        if let Some(account) = refused.min_by_key(|account| self.failed_last(*account)) {
            self.try_again_at(account, until, now);
        }
    }

    /// The folder was read for the first time: what the last process left undone is said again.
    pub(super) fn repeat_what_blocks(&mut self, now: Timestamp) {
        if let Some(pause) = self.throttle.pause(now) {
            self.log(RequestLog::Paused(pause));
        }
        let is_needed = self.queue.depth() > 0;
        if let Some(outage) = self.ledger.outage.clone().filter(|_| is_needed) {
            self.log(StateLog::Remembered(outage));
        }
        let refused = self.backlog.rejected();
        let failed = |account| {
            let row = self.ledger.accounts.get(account)?;
            let failed = [&row.enabled_failed, &row.active_sync_failed].into_iter().flatten();
            let failed = failed.filter(|failed| failed.reason.is_rejection()).max_by_key(|failed| failed.at)?;
            Some((row.name.clone(), failed.reason, failed.message.clone()))
        };
        if let Some((name, reason, message)) = refused.iter().find_map(failed) {
            self.log(StateLog::StillRefused { accounts: refused.len(), name, failure: Failure { reason, message } });
        }
    }
}
