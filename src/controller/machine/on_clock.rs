//! The wall clock is wrong, or was: what follows of it.
//!
//! In: a [`ClockStep`], or at the start a ledger that remembers what is still to come. Out: all state, as the clock of now
//! has it.
//! Invariants: a span keeps its length, whatever the clock does: pauses, windows, backoffs, what is in flight, what waits
//! for the disk; so does what is written down ([`Record::ClockStepped`], [`Record::ClockBehind`]). A deadline that people
//! wrote is compared with the clock of now: suspensions, of everything or of an account, are in force again if it went
//! back, and a manifest's period is one that is still to begin. But access that has ended by its `validUntil` stays ended
//! until the manifest gives another one ([`crate::ledger::Row::ended`]), and an approval that was once over stays over as long as its document says the same ([`Record::Lapsed`]): what a
//! clock that is wrong lets through cannot be taken back, and what it holds can be approved anew.
//! Absent by design: how a step is noticed (see [`crate::clock`]).

use std::time::Duration;

use super::Machine;
use super::dispatch::INTENT_AGE_MAX;
use crate::controller::event::StateLog;
use crate::ledger::{LANDING, Record};
use crate::timestamp::{ClockStep, Timestamp};

impl Machine {
    /// At the start: what is remembered as still to come counts as of now, and is written down so; otherwise it would begin
    /// anew with each restart.
    pub(super) fn correct_remembered_moments(&mut self, now: Timestamp) {
        if let Some(remembered) = self.ledger.ahead_of(now) {
            self.log(StateLog::ClockBehind { now, remembered });
            let lands_by = now + INTENT_AGE_MAX + self.settings.request_timeout + LANDING;
            self.record(Record::ClockBehind { at: now, lands_by, remembered: Some(remembered) }, now);
            self.guards.allow(self.budget.allowance, &self.ledger);
            // What counts as of now failed before: a single pass tries it again.
            if self.pass.is_single() {
                self.tries_from = now + Duration::from_millis(1);
            }
        }
    }

    pub(super) fn on_clock_step(&mut self, step: ClockStep) {
        let ClockStep { from, to } = step;
        self.log(StateLog::ClockStepped(step));
        self.throttle.carry(step);
        self.queue.carry(step);
        self.tokens.carry(step);
        self.backlog.carry(step);
        self.inflight.carry(step);
        self.unwritten.carry(step);
        self.folder.carry(step);
        self.reading.iter_mut().for_each(|reading| reading.carry(step));
        self.stop_by = self.stop_by.map(|at| step.carry(at));
        self.unwritable.iter_mut().for_each(|(_, since)| *since = step.carry(*since));
        self.tries_from = step.carry(self.tries_from);
        self.token_limit = self.token_limit.map(|at| step.carry(at));
        self.began = step.carry(self.began);
        self.waiting = None;
        self.turned_at = step.carry(self.turned_at);
        self.record(Record::ClockStepped { from, to }, to);
        // The guard remembers what the ledger does.
        self.guards.allow(self.budget.allowance, &self.ledger);
        if self.folder.is_loaded() {
            self.lapse_approvals(to);
        }
        self.await_again(step);
    }

    /// The folder is read: approvals that were over by a clock that went back since stay over, also for the next process.
    pub(super) fn lapse_approvals(&mut self, now: Timestamp) {
        self.desired.lapse(&self.ledger.lapsed_at(now));
        if self.ledger.lapsed.by.is_some() {
            let approvals = self.desired.lapsed(now);
            self.record(Record::Lapsed { approvals }, now);
        }
    }

    /// Accounts whose suspension, or a boundary of whose period, was past by the old clock and is not by the new one. They
    /// were woken, and will not be by themselves.
    fn await_again(&mut self, ClockStep { from, to }: ClockStep) {
        let is_ahead = |at: Timestamp| to < at && at <= from;
        let accounts = self.desired.iter().filter(|(_, desired)| {
            let suspended = desired.spec.suspend.as_ref().and_then(|suspend| suspend.until);
            let boundaries = desired.spec.period.iter().flat_map(|period| period.boundaries());
            suspended.into_iter().chain(boundaries).any(is_ahead)
        });
        let again: Vec<_> = accounts.map(|(account, _)| account).collect();
        let number = again.len();
        again.into_iter().for_each(|account| self.touch(account, number, to));
    }
}
