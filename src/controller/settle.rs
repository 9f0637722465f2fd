//! Answers become records, and the account's next step.
//!
//! In: how a PUT or a token request ended. Out: what the ledger remembers of it, and where the
//! account goes: done, back to the queue, into a backoff, or stalled.
//! Invariants: an acknowledgement is recorded before anything else follows from it; what provably
//! did not happen leaves the ledger as it was; what may have happened stays in doubt.

use std::time::Duration;

use tracing::{info, warn};

use super::backlog::Stalled;
use super::intake::urgency;
use super::{APPLY_ATTEMPTS, APPLY_PROBES, Controller, Flight, Journal, Mode};
use crate::account::{AccountId, Field};
use crate::change::{Change, Failure, Outcome, PauseCause};
use crate::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::ledger::Record;
use crate::plan::plan_account;
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Operation, TokenAnswer, TokenOutcome, Transport};

impl<T: Transport, J: Journal> Controller<T, J> {
    pub(super) fn settle(&mut self, account: AccountId, answer: Answer) {
        let Some(flight) = self.flights.remove(&account) else { return };
        self.answered_since += 1;
        let now = self.clock.now();
        let healthy = !matches!(answer.outcome, Outcome::Retry(_) | Outcome::InDoubt(_));
        if self.throttle.end_put(healthy, now) {
            self.breaker_opened(&answer.outcome);
        }
        let operation = Operation::of(flight.change.field, flight.change.to);
        self.metrics.api_request(operation.as_str(), answer.code, answer.took);
        self.metrics.reconciled(&answer.outcome, now.since(flight.began));
        if let (Some(generation), Outcome::Applied | Outcome::Rejected(_)) = (flight.token, &answer.outcome) {
            self.tokens.accepted(generation);
            self.report.send_if_modified(|report| report.credentials_refused.take().is_some());
        }
        if let Some(wait) = answer.retry_after.filter(|_| !matches!(answer.outcome, Outcome::Paused(..))) {
            self.impose(wait, Reason::ServiceUnavailable, now);
        }
        self.totals.count(&answer.outcome);
        match answer.outcome {
            Outcome::Applied => self.applied(flight, now),
            Outcome::Retry(failure) => {
                self.not_applied(&flight);
                self.back_off(&flight.change, &failure, now);
            }
            Outcome::InDoubt(failure) => self.back_off(&flight.change, &failure, now),
            Outcome::Rejected(failure) => {
                self.not_applied(&flight);
                self.rejected(&flight.change, &failure, now);
            }
            Outcome::Paused(cause, failure) => {
                self.not_applied(&flight);
                self.paused(&flight, cause, failure, answer.retry_after, now);
            }
        }
    }

    fn applied(&mut self, flight: Flight, now: Timestamp) {
        let Change { account, name, field, to, source, .. } = flight.change;
        info!(%account, %name, %field, value = to, %source, "applied");
        self.record(Record::Applied { at: now, account, field, value: to, source });
        if !to {
            self.guard.applied(account, now);
        }
        if self.ledger.accounts.get(&account).is_some_and(|row| !row.conditions.is_empty()) {
            self.record(Record::Conditions { account, conditions: Vec::new() });
        }
        self.queue.succeeded(account);
        self.step(account, now);
    }

    /// Plans the account again, and counts what is open of it.
    fn replan(&mut self, account: AccountId, now: Timestamp) -> Vec<Change> {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        self.count(account, &plan, now)
    }

    /// Plans the account again after an attempt: what is left of it goes on at once.
    pub(super) fn step(&mut self, account: AccountId, now: Timestamp) {
        let open = self.replan(account, now);
        if open.is_empty() {
            self.queue.done(account, now);
            self.queue.remove(account);
        } else {
            self.queue.put_back(account, urgency(&open), now);
        }
    }

    /// The service provably did not act: all is as it was before the intent.
    pub(super) fn not_applied(&mut self, flight: &Flight) {
        let (Change { account, field, to, .. }, disruption) = (&flight.change, flight.disruption);
        if !to {
            self.guard.undo(*account, disruption);
        }
        let restore = flight.prior.clone();
        self.record(Record::NotApplied { account: *account, field: *field, restore, disruption });
    }

    /// Writes down what the service said; once, however often it says the same.
    fn tell(&mut self, change: &Change, kind: ConditionType, failure: &Failure, now: Timestamp) {
        let Some(row) = self.ledger.accounts.get(&change.account) else { return };
        let message: Box<str> = format!("{} to {}: {}", change.field, change.to, failure.message).into();
        let before = row.conditions.first().filter(|told| told.kind == kind && told.reason == failure.reason);
        if before.is_some_and(|told| told.message == message) {
            return;
        }
        let condition = Condition {
            kind,
            status: ConditionStatus::True,
            reason: failure.reason,
            message,
            last_transition_time: before.map_or(now, |told| told.last_transition_time),
            observed_generation: row.observed_generation,
        };
        self.record(Record::Conditions { account: change.account, conditions: vec![condition] });
    }

    fn back_off(&mut self, change: &Change, failure: &Failure, now: Timestamp) {
        let attempts = self.queue.failures(change.account) + 1;
        warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
            source = %change.source, attempts, reason = %failure.reason, why = %failure.message, "not applied; retrying");
        self.tell(change, ConditionType::Reconciling, failure, now);
        if self.settings.mode == Mode::Apply && attempts >= APPLY_ATTEMPTS {
            self.backlog.stall(change.account, Stalled::ALL);
            return self.step(change.account, now);
        }
        self.metrics.queue_retried();
        let urgency = urgency(&self.replan(change.account, now));
        self.queue.retry(change.account, urgency, self.settings.backoff, fastrand::f64(), now);
    }

    fn rejected(&mut self, change: &Change, failure: &Failure, now: Timestamp) {
        warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
            source = %change.source, reason = %failure.reason, why = %failure.message,
            "rejected; waiting for a change of the manifest or the resync");
        self.tell(change, ConditionType::Stalled, failure, now);
        let attempted = self.ledger.accounts.get(&change.account).map(|row| row.spec_hash);
        if attempted != self.desired.get(change.account).map(|desired| desired.spec_hash) {
            // The manifest was edited meanwhile: what was rejected is no longer what is wanted.
            return self.step(change.account, now);
        }
        // A refused ActiveSync change must not keep a mailbox from being disabled; anything else
        // speaks about the account as a whole.
        let only_this = failure.reason == Reason::Rejected && change.field == Field::ActiveSyncEnabled;
        self.backlog.stall(change.account, if only_this { Stalled::only(change.field) } else { Stalled::ALL });
        self.step(change.account, now);
    }

    fn paused(&mut self, flight: &Flight, cause: PauseCause, failure: Failure, wait: Option<Duration>, now: Timestamp) {
        self.step(flight.change.account, now);
        match cause {
            PauseCause::Throttled => {
                let wait = wait.unwrap_or(self.settings.throttle_pause);
                warn!(why = %failure.message, "the service throttles; everybody pauses");
                self.impose(wait, Reason::Throttled, now);
            }
            PauseCause::TokenRefused => {
                self.throttle.probe_next(now);
                if flight.token.is_some_and(|generation| self.tokens.refused(generation, failure.clone())) {
                    self.credentials_refused(&failure);
                }
            }
            PauseCause::ScopeMissing => {
                self.throttle.probe_next(now);
                self.tokens.give_up(failure.clone());
                self.credentials_refused(&failure);
            }
        }
    }

    fn impose(&mut self, wait: Duration, reason: Reason, now: Timestamp) {
        if let Some(pause) = self.throttle.impose(now + wait, reason, now) {
            warn!(until = %pause.until, %reason, "no request starts before the pause ends");
            self.record(Record::Pause { pause: Some(pause) });
        }
    }

    fn breaker_opened(&mut self, outcome: &Outcome) {
        let probes = self.throttle.failed_probes();
        let why = outcome.failure().map_or("", |failure| &failure.message);
        warn!(why, probes, "the service fails again and again; one request probes it from time to time");
        if probes > APPLY_PROBES {
            self.give_up_if_one_pass(&format!("the service is not available: {why}"));
        }
    }

    /// The daemon waits; a single pass ends, with everything that is left counted as failed.
    pub(super) fn give_up_if_one_pass(&mut self, why: &str) {
        if self.settings.mode == Mode::Apply {
            self.report.send_modify(|report| report.gave_up = Some(why.to_owned()));
        }
    }

    pub(super) fn token_answered(&mut self, answer: TokenAnswer) {
        let now = self.clock.now();
        self.throttle.end_token(now);
        self.metrics.api_request("token", answer.code, answer.took);
        self.metrics.token_answered(answer.outcome.label());
        match answer.outcome {
            TokenOutcome::Granted { token, expires_in } => {
                info!(expires_in = %humantime::format_duration(expires_in), "access token granted");
                self.tokens.granted(token, expires_in, now);
            }
            TokenOutcome::Refused(failure) => {
                self.tokens.give_up(failure.clone());
                self.credentials_refused(&failure);
            }
            TokenOutcome::Throttled(failure, wait) => {
                warn!(why = %failure.message, "too many token requests; everybody pauses");
                let wait = wait.unwrap_or(self.settings.throttle_pause);
                self.impose(wait, Reason::Throttled, now);
                self.tokens.wait(now + wait);
            }
            TokenOutcome::Unavailable(failure) => {
                let failures = self.tokens.failed();
                warn!(why = %failure.message, failures, "no access token; trying again");
                // At least the shortest backoff: requests for tokens are few, and each is one less for a restart.
                let wait = self.settings.backoff.min + self.settings.backoff.delay(failures, fastrand::f64());
                self.tokens.wait(now + wait);
                if failures >= APPLY_ATTEMPTS {
                    self.give_up_if_one_pass(&failure.message);
                }
            }
        }
    }
}
