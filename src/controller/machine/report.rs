//! What the outside sees of the machine: its report after each turn, and the status of accounts.
//!
//! In: the machine's state. Out: a [`Report`] brought up to date, a [`MailAccountList`].
//! Invariants: making a report costs the same whatever the number of accounts; a report is output, and nothing is read
//! back from one.

use super::{Blocked, Machine};
use crate::condition::ConditionType;
use crate::controller::event::{Metric, StateLog};
use crate::ledger::OutageKind;
use crate::report::{ByCondition, Recent, Report, ServiceRead, WaitsFor};
use crate::status::{self, BlockedBy, Item, MailAccountList, Part, Spec, Status};
use crate::timestamp::Timestamp;

/// Sets `text` to what it is now; copies nothing that did not change.
fn set(text: &mut Option<String>, now: Option<&str>) {
    if text.as_deref() != now {
        *text = now.map(str::to_owned);
    }
}

impl Machine {
    /// A turn is over.
    pub(super) fn note_turn(&mut self, now: Timestamp) {
        if let Some(waiting) = self.waiting {
            self.count(Metric::Waited { why: waiting.why, how_long: now.since(self.turned_at) });
        }
        self.turned_at = now;
        let pending = self.backlog.pending();
        if self.was_pending > 0 && pending == 0 {
            self.log(StateLog::AllApplied { accounts: self.desired.managed() });
        }
        self.was_pending = pending;
    }

    /// What is known before the first turn.
    pub fn first_report(&self) -> Report {
        Report { budget: self.budget.clone(), recent: Recent::restore(&self.ledger), ..Report::default() }
    }

    /// Brings the last `report` up to date: constant work, however long the list of what was acknowledged is.
    pub fn describe(&mut self, report: &mut Report, now: Timestamp) {
        self.describe_blocked(report, now);
        let verdicts = self.guards.verdicts(self.desired.managed(), now);
        (report.disruptions, report.grants) = (verdicts.disruptions, verdicts.grants);
        report.request_budget = self.throttle.usage(now);
        report.loaded = self.folder.is_loaded();
        report.last_sync = self.folder.last_sync();
        set(&mut report.desired_unknown, self.folder.unknown());
        set(&mut report.degraded, self.folder.degraded());
        report.turned_at = self.turned_at;
        report.managed = self.desired.managed();
        report.problems = self.desired.problem_count();
        if report.first_problems != self.first_problems {
            report.first_problems.clone_from(&self.first_problems);
        }
        report.pending = self.backlog.pending();
        report.rejected = self.backlog.refused();
        [report.held, report.held_grants] = self.backlog.held();
        report.by_condition = self.by_condition(now);
        report.queued = self.queue.depth();
        report.backing_off = self.queue.delayed();
        report.in_flight = self.inflight.sent();
        report.pending_changes = self.backlog.counts();
        report.oldest_pending = self.backlog.oldest();
        if report.budget != self.budget {
            report.budget.clone_from(&self.budget);
        }
        report.totals = self.totals;
        // What the last one came to; before the first has ended, what is under way.
        let under_way = || self.reading.as_ref().map(|reading| reading.found()).filter(|found| found.requests > 0);
        let read = self.last_read.as_ref().or_else(under_way);
        let brief = |read: &ServiceRead| (read.requests, read.accounts, read.ended_at);
        if read.is_some() && report.read.as_ref().map(brief) != read.map(brief) {
            report.read = read.cloned();
        }
        report.planned = self.pass.planned();
        report.serial = self.ledger.serial;
        self.acknowledged.drain(..).for_each(|acknowledged| report.recent.add(acknowledged));
    }

    /// How many accounts [`Machine::accounts`] shows with each condition.
    fn by_condition(&self, now: Timestamp) -> ByCondition {
        let blocked_by = self.blocked(now).find_map(|blocked| blocked.blocked_by());
        let waiting = blocked_by.as_ref().map_or(Some(ConditionType::Reconciling), BlockedBy::kind);
        let mut counts = self.backlog.by_condition(self.desired.len(), waiting);
        if !self.folder.is_loaded() {
            counts.reconciling += self.ledger.accounts.keys().filter(|id| self.desired.get(**id).is_none()).count();
        }
        counts
    }

    /// What keeps requests from starting, as [`Machine::blocked`] says it.
    fn describe_blocked(&self, report: &mut Report, now: Timestamp) {
        let (mut ledger, mut gave_up, mut suspended, mut outage) = (None, None, None, None);
        (report.pause, report.waiting) = (None, None);
        for blocked in self.blocked(now) {
            report.waiting = report.waiting.or_else(|| blocked.waiting());
            match blocked {
                Blocked::Ledger(why, _) => ledger = Some(why),
                Blocked::GaveUp(why) => gave_up = Some(why),
                Blocked::Suspended(freeze) => suspended = Some(freeze),
                Blocked::Outage(found) => outage = Some(found),
                Blocked::Paused(pause) => report.pause = Some(pause),
                Blocked::Stopping
                | Blocked::Unread(_)
                | Blocked::Reading
                | Blocked::InTrouble
                | Blocked::Waiting(_) => {}
            }
        }
        // Those that do not work are tried again, or read again.
        if let Some(waiting) = report.waiting.as_mut().filter(|waiting| waiting.why == WaitsFor::Credentials) {
            waiting.until = self.tokens.next_trial();
        }
        set(&mut report.ledger_error, ledger);
        set(&mut report.gave_up, gave_up);
        let outage = |kind| outage.filter(|outage| outage.kind == kind);
        let why = |kind| outage(kind).map(|outage| &*outage.why);
        set(&mut report.credentials_refused, why(OutageKind::CredentialsRefused));
        set(&mut report.token_unavailable, why(OutageKind::TokenUnavailable));
        set(&mut report.service_failing, why(OutageKind::ServiceFails));
        set(&mut report.refused_alike, why(OutageKind::RefusesAlike));
        report.token_failures = outage(OutageKind::TokenUnavailable).map_or(0, |outage| outage.failures);
        if report.suspended.as_ref() != suspended {
            report.suspended = suspended.cloned();
        }
    }

    /// The status of `part` of the accounts, as `status -o json` shows it; approvals with the first part. Costs what the
    /// part holds.
    pub(super) fn accounts(&mut self, part: Part, now: Timestamp) -> MailAccountList {
        let verdicts = self.guards.verdicts(self.desired.managed(), now);
        let held = |account| self.backlog.is_held(account).then_some(verdicts);
        let blocked_by = self.blocked(now).find_map(|blocked| blocked.blocked_by());
        let mut list = status::list(&self.desired, &self.ledger, part, held, blocked_by.as_ref(), now);
        for Item { spec: Spec { account_id, .. }, status: Status { work, .. }, .. } in &mut list.items {
            work.pending_since = self.backlog.since(*account_id);
            work.next_attempt = self.queue.due(*account_id);
        }
        if part.from.is_none() {
            list.approvals = status::approvals(&self.desired, &self.ledger, now);
        }
        list
    }
}
