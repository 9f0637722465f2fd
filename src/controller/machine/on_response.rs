//! Answers become records, and the account's next step.
//!
//! In: how a PUT ended. Out: what the ledger remembers of it, and where the
//! account goes: done, back to the queue, into a backoff, or stalled.
//! Invariants: an acknowledgement is recorded before anything else follows from it; what provably
//! did not happen leaves the ledger as it was; what may have happened stays in doubt.

use super::backlog::Stalled;
use super::inflight::Request;
use super::{APPLY_ATTEMPTS, Machine};
use crate::account::{AccountId, Field};
use crate::change::{Change, Failure, Outcome, PauseCause};
use crate::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::controller::event::{Metric, RequestLog};
use crate::ledger::{Evidence, Record};
use crate::report::Acknowledged;
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Operation, RetryAfter};

impl Machine {
    /// `chance`, from 0 to 1, spreads a backoff.
    pub(super) fn on_response(&mut self, account: AccountId, answer: Answer, now: Timestamp, chance: f64) {
        let Some(request) = self.inflight.answered(account) else { return };
        let healthy = !matches!(answer.outcome, Outcome::Retry(_) | Outcome::InDoubt(_));
        let failed_probes = self.throttle.failed_probes();
        if self.throttle.end_put(account, request.began(), healthy, now) {
            self.breaker_opened(&answer.outcome);
        } else if failed_probes > 0 && self.throttle.failed_probes() == 0 {
            self.log(RequestLog::AnswersAgain);
        }
        let operation = Operation::of(request.change().field, request.change().to).as_str();
        self.count(Metric::Request { operation, code: answer.code, took: answer.took });
        let (outcome, took) = (answer.outcome.clone(), now.since(request.began()));
        self.count(Metric::Reconciled { outcome, took, at: now });
        if let (Some(generation), Outcome::Applied | Outcome::Rejected(_)) = (request.token(), &answer.outcome) {
            self.tokens.accepted(generation);
            self.throttled = 0;
        }
        if let Some(asked) = answer.retry_after.filter(|_| !matches!(answer.outcome, Outcome::Paused(..))) {
            self.impose(asked, Reason::ServiceUnavailable, now);
        }
        self.totals.count(&answer.outcome);
        match answer.outcome {
            // It counts as acknowledged only if the service's own words say so, too.
            Outcome::Applied => self.applied(request, format!("HTTP {} success", answer.code).into(), now),
            Outcome::Retry(failure) => {
                self.not_applied(&request, now);
                self.back_off(request.change(), failure, now, chance);
            }
            Outcome::InDoubt(failure) => self.back_off(request.change(), failure, now, chance),
            Outcome::Rejected(failure) => {
                self.not_applied(&request, now);
                self.rejected(request.change(), failure, now);
            }
            Outcome::Paused(cause, failure) => {
                self.not_applied(&request, now);
                self.paused(&request, cause, failure, answer.retry_after, now);
            }
        }
    }

    fn applied(&mut self, request: Request, answer: Box<str>, now: Timestamp) {
        let change = request.into_change();
        self.log(RequestLog::Applied(change.clone()));
        let Change { account, name, field, from, to, source, revision, approval, .. } = change;
        if approval.is_some() {
            self.count(Metric::DisruptionApproved);
        }
        self.acknowledged.push(Acknowledged {
            at: now,
            account,
            name: name.clone(),
            field,
            to,
            source: source.clone(),
            revision: revision.clone(),
            approval: approval.clone(),
        });
        let evidence = Some(Box::new(Evidence { name, from, revision, approval, answer }));
        self.record(Record::Applied { at: now, account, field, value: to, source, evidence }, now);
        let state = self.ledger.accounts.get(&account).and_then(|row| row.field(field));
        if let Some(until) = state.and_then(|state| state.unsettled_until(to)) {
            self.log(RequestLog::Unsettled { account, field, until });
        }
        let conditions = self.standing(account);
        if self.ledger.accounts.get(&account).is_some_and(|row| row.conditions != conditions) {
            self.record(Record::Conditions { account, conditions }, now);
        }
        self.queue.succeeded(account);
        self.step(account, now);
    }

    /// The service provably did not act: all is as it was before the intent.
    pub(super) fn not_applied(&mut self, request: &Request, now: Timestamp) {
        let Change { account, field, .. } = *request.change();
        let (restore, disruption) = (request.prior().cloned(), request.disruption());
        self.record(Record::NotApplied { account, field, restore, disruption }, now);
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
        self.record(Record::Conditions { account: change.account, conditions }, now);
        true
    }

    fn back_off(&mut self, change: &Change, failure: Failure, now: Timestamp, chance: f64) {
        let attempts = self.queue.failures(change.account) + 1;
        if self.tell(change, ConditionType::Reconciling, &failure, now) {
            self.log(RequestLog::Retrying { change: change.clone(), failure, attempts });
        }
        if self.pass.is_single() && attempts >= APPLY_ATTEMPTS {
            self.backlog.stall(change.account, Stalled::ALL);
            return self.step(change.account, now);
        }
        self.count(Metric::QueueRetried);
        self.replan(change.account, now);
        self.queue.retry(change.account, self.settings.backoff, chance, now);
    }

    fn rejected(&mut self, change: &Change, failure: Failure, now: Timestamp) {
        let reason = failure.reason;
        // Each resync asks again, and whoever is answered the same again and again is no news.
        if self.tell(change, ConditionType::Stalled, &failure, now) {
            self.log(RequestLog::Rejected { change: change.clone(), failure });
        }
        let attempted = self.ledger.accounts.get(&change.account).map(|row| row.spec_hash);
        if attempted != self.desired.get(change.account).map(|desired| desired.spec_hash) {
            // The manifest was edited meanwhile: what was rejected is no longer what is wanted.
            return self.step(change.account, now);
        }
        // A refused ActiveSync change must not keep a mailbox from being disabled; anything else
        // speaks about the account as a whole.
        let only_this = reason == Reason::Rejected && change.field == Field::ActiveSyncEnabled;
        self.backlog.stall(change.account, if only_this { Stalled::only(change.field) } else { Stalled::ALL });
        self.step(change.account, now);
    }

    fn paused(
        &mut self,
        request: &Request,
        cause: PauseCause,
        failure: Failure,
        asked: Option<RetryAfter>,
        now: Timestamp,
    ) {
        self.tell(request.change(), ConditionType::Reconciling, &failure, now);
        self.step(request.change().account, now);
        match cause {
            PauseCause::Throttled => {
                self.log(RequestLog::Throttled(failure.clone()));
                self.slow_down(asked, &failure, now);
            }
            PauseCause::TokenRefused => {
                self.throttle.probe_next(now);
                if request.token().is_some_and(|generation| self.tokens.refused(generation, failure.clone())) {
                    self.credentials_refused(failure);
                }
            }
            PauseCause::ScopeMissing => {
                self.throttle.probe_next(now);
                self.tokens.give_up(failure.clone());
                self.credentials_refused(failure);
            }
        }
    }
}

/// How a message begins that tells of an answer to `change`.
pub(super) fn about(change: &Change) -> String {
    format!("{} to {}: ", change.field, change.to)
}
