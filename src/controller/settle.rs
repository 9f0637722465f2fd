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
use crate::ledger::{Evidence, Record};
use crate::plan::plan_account;
use crate::report::Acknowledged;
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Operation, TokenAnswer, TokenOutcome, Transport};

impl<T: Transport, J: Journal> Controller<T, J> {
    pub(super) fn settle(&mut self, account: AccountId, answer: Answer) {
        let Some(flight) = self.flights.remove(&account) else { return };
        self.answered_since += 1;
        let now = self.clock.now();
        let healthy = !matches!(answer.outcome, Outcome::Retry(_) | Outcome::InDoubt(_));
        let failed_probes = self.throttle.failed_probes();
        if self.throttle.end_put(flight.began, healthy, now) {
            self.breaker_opened(&answer.outcome);
        } else if failed_probes > 0 && self.throttle.failed_probes() == 0 {
            info!("the service answers again");
        }
        let operation = Operation::of(flight.change.field, flight.change.to);
        self.metrics.api_request(operation.as_str(), answer.code, answer.took);
        self.metrics.reconciled(&answer.outcome, now.since(flight.began), now);
        if let (Some(generation), Outcome::Applied | Outcome::Rejected(_)) = (flight.token, &answer.outcome) {
            self.tokens.accepted(generation);
            self.throttled = 0;
            self.report.send_if_modified(|report| report.credentials_refused.take().is_some());
        }
        if let Some(wait) = answer.retry_after.filter(|_| !matches!(answer.outcome, Outcome::Paused(..))) {
            self.impose(wait, Reason::ServiceUnavailable, now);
        }
        self.totals.count(&answer.outcome);
        match answer.outcome {
            // It counts as acknowledged only if the service's own words say so, too.
            Outcome::Applied => self.applied(flight, format!("HTTP {} success", answer.code).into(), now),
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

    fn applied(&mut self, flight: Flight, answer: Box<str>, now: Timestamp) {
        let Change { account, name, field, from, to, source, revision, approval, .. } = flight.change;
        info!(%account, %name, %field, value = to, %source, %revision, approval = approval.as_deref(), "applied");
        if approval.is_some() {
            self.metrics.disruption_approved();
        }
        let recent = Acknowledged {
            at: now,
            account,
            name: name.clone(),
            field,
            to,
            source: source.clone(),
            revision: revision.clone(),
            approval: approval.clone(),
        };
        self.report.send_modify(|report| report.recent.add(recent));
        let evidence = Some(Box::new(Evidence { name, from, revision, approval, answer }));
        self.record(Record::Applied { at: now, account, field, value: to, source, evidence });
        let state = self.ledger.accounts.get(&account).and_then(|row| row.field(field));
        if let Some(until) = state.and_then(|state| state.unsettled_until(to)) {
            info!(%account, %field, %until, "an earlier PUT of the other value may still take effect; sent once more then");
        }
        let conditions = self.standing(account);
        if self.ledger.accounts.get(&account).is_some_and(|row| row.conditions != conditions) {
            self.record(Record::Conditions { account, conditions });
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
        let Change { account, field, .. } = flight.change;
        let (restore, disruption) = (flight.prior.clone(), flight.disruption);
        self.record(Record::NotApplied { account, field, restore, disruption });
    }

    /// What was said against the account and still stands, whatever becomes of its other field: a rejection.
    fn standing(&self, account: AccountId) -> Vec<Condition> {
        let row = self.ledger.accounts.get(&account).filter(|_| self.backlog.is_stalled(account));
        let told = row.into_iter().flat_map(|row| &row.conditions);
        told.filter(|told| told.kind == ConditionType::Stalled).cloned().collect()
    }

    /// Writes down what the service said; once, however often it says the same. Whether it is news.
    fn tell(&mut self, change: &Change, kind: ConditionType, failure: &Failure, now: Timestamp) -> bool {
        let Some(row) = self.ledger.accounts.get(&change.account) else { return true };
        let message: Box<str> = format!("{}{}", about(change), failure.message).into();
        let same = |told: &&Condition| told.kind == kind && told.reason == failure.reason;
        let before = row.conditions.iter().find(same);
        if before.is_some_and(|told| told.message == message) {
            return false;
        }
        let condition = Condition {
            kind,
            status: ConditionStatus::True,
            reason: failure.reason,
            message,
            last_transition_time: before.map_or(now, |told| told.last_transition_time),
            observed_generation: row.observed_generation,
        };
        let mut conditions = self.standing(change.account);
        conditions.retain(|told| told.kind != kind);
        conditions.push(condition);
        self.record(Record::Conditions { account: change.account, conditions });
        true
    }

    fn back_off(&mut self, change: &Change, failure: &Failure, now: Timestamp) {
        let (attempts, runbook) = (self.queue.failures(change.account) + 1, self.runbook(failure.reason.as_str()));
        if self.tell(change, ConditionType::Reconciling, failure, now) {
            warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
                source = %change.source, revision = %change.revision, attempts, reason = %failure.reason,
                why = %failure.message, runbook, "not applied; retrying");
        }
        if self.settings.mode == Mode::Apply && attempts >= APPLY_ATTEMPTS {
            self.backlog.stall(change.account, Stalled::ALL);
            return self.step(change.account, now);
        }
        self.metrics.queue_retried();
        let urgency = urgency(&self.replan(change.account, now));
        self.queue.retry(change.account, urgency, self.settings.backoff, fastrand::f64(), now);
    }

    fn rejected(&mut self, change: &Change, failure: &Failure, now: Timestamp) {
        let runbook = self.runbook(failure.reason.as_str());
        // Each resync asks again, and whoever is answered the same again and again is no news.
        if self.tell(change, ConditionType::Stalled, failure, now) {
            warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
                source = %change.source, revision = %change.revision, reason = %failure.reason,
                why = %failure.message, runbook, "rejected; waiting for a change of the manifest or the resync");
        }
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
        self.tell(&flight.change, ConditionType::Reconciling, &failure, now);
        self.step(flight.change.account, now);
        match cause {
            PauseCause::Throttled => {
                let runbook = self.runbook(Reason::Throttled.as_str());
                warn!(why = %failure.message, runbook, "the service throttles; everybody pauses");
                self.slow_down(wait, &failure, now);
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

    /// The service throttles: nobody asks for `wait`, or as long as the options say. Returns until when. A single pass
    /// sits out a few pauses, but not one after the other without an end.
    fn slow_down(&mut self, wait: Option<Duration>, failure: &Failure, now: Timestamp) -> Timestamp {
        let wait = wait.unwrap_or(self.settings.throttle_pause);
        // What was under way at the same time was throttled as well, and tells nothing new.
        self.throttled += u32::from(self.throttle.pause(now).is_none());
        self.impose(wait, Reason::Throttled, now);
        if self.throttled > APPLY_PROBES {
            self.give_up_if_one_pass(&format!("the service throttles after each pause again: {}", failure.message));
        }
        now + wait
    }

    fn impose(&mut self, wait: Duration, reason: Reason, now: Timestamp) {
        if let Some(pause) = self.throttle.impose(now + wait, reason, now) {
            let runbook = self.runbook(reason.as_str());
            warn!(until = %pause.until, %reason, runbook, "no request starts before the pause ends");
            self.record(Record::Pause { pause: Some(pause) });
        }
    }

    fn breaker_opened(&mut self, outcome: &Outcome) {
        let probes = self.throttle.failed_probes();
        let why = outcome.failure().map_or("", |failure| &failure.message);
        // Probes that fail as well are no news.
        if probes == 1 {
            let runbook = self.runbook(Reason::ServiceUnavailable.as_str());
            warn!(why, runbook, "the service fails again and again; one request probes it from time to time");
        }
        if probes > APPLY_PROBES {
            self.give_up_if_one_pass(&format!("the service is not available: {why}"));
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
                let runbook = self.runbook(Reason::Throttled.as_str());
                warn!(why = %failure.message, runbook, "too many token requests; everybody pauses");
                let until = self.slow_down(wait, &failure, now);
                self.tokens.wait(until);
            }
            TokenOutcome::Unavailable(failure) => {
                let failures = self.tokens.failed();
                let runbook = self.runbook(failure.reason.as_str());
                warn!(why = %failure.message, failures, runbook, "no access token; trying again");
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

/// How a message begins that tells of an answer to `change`.
pub(super) fn about(change: &Change) -> String {
    format!("{} to {}: ", change.field, change.to)
}
