//! The conductor fills in its report after each turn, and its summary at the end.
//!
//! In: the conductor's state. Out: its report and summary, and the status of every account.
//! Invariant: making a report costs the same whatever the number of accounts.

use tokio::sync::oneshot;
use tracing::info;

use super::settle::about;
use super::{Controller, Journal, Mode};
use crate::change::{Change, Known};
use crate::condition::Condition;
use crate::desired::DesiredAccount;
use crate::plan::plan;
use crate::report::{Summary, Unapplied};
use crate::runbook;
use crate::status::{self, Item, MailAccountList, Part, Spec, Standstill, Status};
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

/// Somebody wants to know the status of a part of the accounts.
pub type Query = (Part, oneshot::Sender<MailAccountList>);

impl<T: Transport, J: Journal> Controller<T, J> {
    /// Brings the report up to date: constant work.
    pub(super) fn publish(&mut self) {
        let now = self.clock.now();
        if let Some(waiting) = self.waiting {
            self.metrics.waited(waiting.why, now.since(self.turned_at));
        }
        self.turned_at = now;
        let disruptions = self.guard.verdict(self.desired.managed(), now);
        let (pause, request_budget) = (self.throttle.pause(now), self.throttle.usage(now));
        self.report.send_modify(|report| {
            if report.pending > 0 && self.backlog.pending() == 0 {
                info!(accounts = self.desired.managed(), "everything is applied; nothing is pending");
            }
            report.loaded = self.loaded;
            report.turned_at = now;
            report.managed = self.desired.managed();
            report.problems = self.desired.problem_count();
            report.pending = self.backlog.pending();
            report.stalled = self.backlog.stalled();
            report.held = self.backlog.held();
            report.blocked = self.backlog.blocked();
            report.queued = self.queue.depth();
            report.backing_off = self.queue.delayed();
            report.in_flight = self.sent();
            report.pending_changes = self.backlog.counts();
            report.oldest_pending = self.backlog.oldest();
            report.request_budget = request_budget;
            report.waiting = self.waiting;
            report.pause = pause;
            report.suspended.clone_from(&self.frozen);
            report.disruptions = disruptions;
            report.totals = self.totals;
            report.planned = self.planned.len();
            report.serial = self.ledger.serial;
        });
    }

    /// Remembers what the single pass sets out to do.
    pub(super) fn note_plan(&mut self, now: Timestamp) {
        if self.settings.mode == Mode::Apply {
            self.planned = plan(&self.desired, &self.ledger, now).changes;
        }
    }

    /// What became of everything that was planned.
    pub(super) fn summary(&mut self) -> Summary {
        let now = self.clock.now();
        let mut summary = Summary {
            planned: self.planned.len(),
            disruptions: self.guard.verdict(self.desired.managed(), now),
            gave_up: self.report.borrow().gave_up.clone(),
            budget: self.report.borrow().budget.clone(),
            ..Summary::default()
        };
        let frozen = self.freeze(now).is_some();
        for change in std::mem::take(&mut self.planned) {
            let known = self.ledger.known(change.account, change.field);
            if known == Known::Applied(change.to) {
                summary.applied += 1;
                continue;
            }
            let held = self.backlog.is_held(change.account) && self.needs_budget(&change, now);
            let why = self.why(&change, held, &summary);
            let unapplied = Unapplied { change, why };
            match known {
                _ if held => summary.held.push(unapplied),
                Known::InDoubt => summary.in_doubt.push(unapplied),
                _ if frozen => summary.held.push(unapplied),
                Known::Absent | Known::Applied(_) => summary.failed.push(unapplied),
            }
        }
        summary
    }

    /// Whether the change, planned when the pass began, can be held now: approvals expire.
    fn needs_budget(&self, change: &Change, now: Timestamp) -> bool {
        let approval = |desired: DesiredAccount<'_>| desired.approval(change.field, now).is_some();
        change.is_disruption() && !self.desired.get(change.account).is_some_and(approval)
    }

    fn why(&self, change: &Change, held: bool, summary: &Summary) -> String {
        if held {
            return format!("held by the disruption budget ({})", summary.disruptions);
        }
        let row = self.ledger.accounts.get(&change.account);
        if let Some(until) = row.and_then(|row| row.field(change.field)?.unsettled_until(change.to)) {
            return status::unsettled(until);
        }
        let told = row.and_then(|row| {
            let own = |told: &&Condition| told.message.starts_with(&about(change));
            row.conditions.iter().find(own).or(row.conditions.first())
        });
        match (told, &summary.gave_up) {
            (Some(told), _) => format!("{}: {}", told.reason, told.message),
            (None, Some(_)) => "not attempted: the pass gave up".to_owned(),
            (None, None) => "not attempted: the pass was stopped".to_owned(),
        }
    }

    /// The status of `part` of the accounts, as `status -o json` shows it; approvals with the first part. Costs what the
    /// part holds.
    pub(super) fn accounts(&mut self, part: Part) -> MailAccountList {
        let now = self.clock.now();
        let verdict = self.guard.verdict(self.desired.managed(), now);
        let held = |account| self.backlog.is_held(account).then_some(verdict);
        let standstill = self.standstill(now);
        let mut list = status::list(&self.desired, &self.ledger, part, held, standstill.as_ref(), now);
        for Item { spec: Spec { account_id, .. }, status: Status { work, .. }, .. } in &mut list.items {
            work.pending_since = self.backlog.since(*account_id);
            work.next_attempt = self.queue.due(*account_id);
            work.failures = self.queue.failures(*account_id);
        }
        if part.from.is_none() {
            list.approvals = status::approvals(&self.desired, &self.ledger, now);
        }
        list
    }

    /// Where `key` is explained, for the log.
    pub(super) fn runbook(&self, key: &str) -> String {
        runbook::link(self.settings.external_url.as_ref(), key)
    }

    fn standstill(&self, now: Timestamp) -> Option<Standstill> {
        if !self.loaded {
            return Some(Standstill::unread());
        }
        if let Some(error) = &self.report.borrow().ledger_error {
            return Some(Standstill::unrecorded(error));
        }
        if let Some(freeze) = self.freeze(now) {
            return Some(Standstill::suspended(freeze));
        }
        if let Some(failure) = self.tokens.refusal() {
            return Some(Standstill::refused(&failure.message));
        }
        self.throttle.pause(now).map(Standstill::paused)
    }
}
