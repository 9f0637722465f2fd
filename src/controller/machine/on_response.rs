//! Answers become records, and the account's next step.
//!
//! In: how a PUT ended. Out: what the ledger remembers of it, and where the
//! account goes: done, back to the queue, into a backoff, or stalled.
//! Invariants: an acknowledgement is recorded before anything else follows from it; what provably
//! did not happen leaves the ledger as it was; what may have happened stays in doubt.

use super::Machine;
use super::attempts::Attempt;
use super::inflight::{Before, Request};
use super::token::{Others, Refusal};
use crate::account::AccountId;
use crate::change::{Change, Failure, Outcome, PauseCause};
use crate::condition::Reason;
use crate::controller::event::{Metric, RequestLog};
use crate::ledger::{Evidence, OutageKind, Record, Row};
use crate::report::Acknowledged;
use crate::throttle::Ended;
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Code, Operation, RetryAfter};

impl Machine {
    /// `chance`, from 0 to 1, spreads a backoff.
    pub(super) fn on_response(&mut self, account: AccountId, answer: Answer, now: Timestamp, chance: f64) {
        let Some(request) = self.inflight.answered(account) else { return };
        let before = self.throttle.trouble();
        let ended = Ended::by(&answer);
        // What was refused before and is refused again says nothing new of the service, unless it probes.
        let ended = if request.change().refused { ended.again() } else { ended };
        let opened = self.throttle.end_put(account, request.began(), ended, now);
        self.note_service(&answer.outcome, before, opened, now);
        if answer.outcome != Outcome::Applied {
            self.met_trouble = Some(account);
        }
        let operation = Operation::of(request.change().field, request.change().to).as_str();
        self.count(Metric::Request { operation, code: answer.code, took: answer.took });
        let (outcome, took) = (answer.outcome.clone(), now.since(request.began()));
        self.count(Metric::Reconciled { outcome, took, at: now });
        if let (Some(generation), Outcome::Applied | Outcome::Rejected(_)) = (request.token(), &answer.outcome) {
            self.tokens.accepted(generation, account);
            self.end_outage(&[OutageKind::CredentialsRefused, OutageKind::TokenUnavailable], now);
            self.throttling.accepted(account);
            self.throttled = 0;
        }
        self.totals.count(&answer.outcome);
        let alike = Some(OutageKind::RefusesAlike);
        let asks = if answer.outcome == Outcome::Applied {
            before == alike
        } else {
            opened && self.throttle.trouble() == alike
        };
        match answer.outcome {
            // It counts as acknowledged only if the service's own words say so, too.
            Outcome::Applied => self.applied(request, format!("HTTP {} success", answer.code).into(), now),
            Outcome::Retry(failure) => {
                self.not_applied(&request, now);
                self.back_off(request.change(), (failure, answer.code), now, now, chance);
            }
            Outcome::InDoubt(failure) => {
                let until = answer.retry_after.map_or(now, |asked| self.asked_to_wait(account, asked, now));
                self.back_off(request.change(), (failure, answer.code), until, now, chance);
            }
            Outcome::Rejected(failure) => {
                self.not_applied(&request, now);
                self.rejected(request.change(), (failure, answer.code), now, chance);
            }
            Outcome::Paused(cause, failure) => {
                self.not_applied(&request, now);
                let failure = (failure, answer.code);
                match cause {
                    PauseCause::Throttled => self.throttled(request.change(), failure, answer.retry_after, now, chance),
                    // A scope that is missing is not missing for one account alone: the others tell.
                    PauseCause::TokenRefused | PauseCause::ScopeMissing => {
                        self.token_refused(&request, failure, now, chance)
                    }
                }
            }
        }
        if asks {
            self.probe_with_what_was_refused(now);
        }
    }

    fn applied(&mut self, request: Request, answer: Box<str>, now: Timestamp) {
        let change = request.into_change();
        self.log(RequestLog::Applied(change.clone()));
        let over = self.refused_as(&change);
        if change.approval.is_some() && change.is_disruption() {
            self.count(Metric::DisruptionApproved);
        }
        let Change { account, name, field, from, to, source, revision, approval, validity, drift, .. } = change;
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
        let evidence = Some(Box::new(Evidence { name, from, revision, approval, validity, drift, answer }));
        self.record(Record::Applied { at: now, account, field, value: to, source, evidence }, now);
        let state = self.ledger.accounts.get(&account).and_then(|row| row.field(field));
        if let Some(until) = state.and_then(|state| state.unsettled_until(to)) {
            self.log(RequestLog::Unsettled { account, field, until });
        }
        if let Some((reason, code)) = over {
            self.try_again_what_was_refused_alike(reason, &code, now);
        }
        self.step(account, now);
    }

    /// The service provably did not act: all is as it was before the intent.
    pub(super) fn not_applied(&mut self, request: &Request, now: Timestamp) {
        let Change { account, field, .. } = *request.change();
        let Before { field: restore, charged: [disruption, returned], valid_until } = request.before().clone();
        // A PUT that never left takes no place in the request budget either.
        let unsent = request.token().is_none().then(|| request.began());
        let record = Record::NotApplied { account, field, restore, disruption, returned, valid_until, unsent };
        self.record(record, now);
    }

    /// The service fails, and asks for a wait: everybody waits, unless it asks this account alone. Returns until when the
    /// account waits at least.
    fn asked_to_wait(&mut self, account: AccountId, asked: RetryAfter, now: Timestamp) -> Timestamp {
        if self.throttling.is_alone(account) {
            return now + asked.capped(self.settings.throttle_pause);
        }
        // Ready when its backoff is over, for the pause holds it back; and behind others, of which one may probe first.
        self.impose(asked, Reason::ServiceUnavailable, now);
        now
    }

    /// The attempt failed, and what failed may succeed later, after `least`.
    fn back_off(
        &mut self,
        change: &Change,
        (failure, code): (Failure, Code),
        least: Timestamp,
        now: Timestamp,
        chance: f64,
    ) {
        let attempts = self.attempts(change) + 1;
        let next = least.max(now + self.settings.backoff.delay(attempts, chance));
        let attempt = Attempt { failure: failure.clone(), code, next, attempts };
        if self.note_failure(change, attempt, now) {
            self.log(RequestLog::Retrying { change: change.clone(), failure, attempts });
        }
        self.count(Metric::QueueRetried);
        self.step(change.account, now);
    }

    /// The service refuses the change for good: it is tried again after an edit, or at growing intervals.
    fn rejected(&mut self, change: &Change, (failure, code): (Failure, Code), now: Timestamp, chance: f64) {
        let attempts = self.attempts(change) + 1;
        // From a half to all of the interval, so that what was refused together does not come back together.
        let next = now + self.settings.rejected.delay(attempts, chance.mul_add(0.5, 0.5));
        let attempt = Attempt { failure: failure.clone(), code, next, attempts };
        // The same answer again and again is not news.
        if self.note_failure(change, attempt, now) {
            self.log(RequestLog::Rejected { change: change.clone(), failure });
        }
        self.step(change.account, now);
    }

    /// What was answered is not the change's fault: it is tried again at `next`, and that is no further attempt.
    fn hold_back(&mut self, change: &Change, (failure, code): (Failure, Code), next: Timestamp, now: Timestamp) {
        let attempts = self.attempts(change);
        self.note_failure(change, Attempt { failure, code, next, attempts }, now);
        self.step(change.account, now);
    }

    /// The service throttles: everybody waits, unless only this account is ever told so.
    fn throttled(
        &mut self,
        change: &Change,
        failure: (Failure, Code),
        asked: Option<RetryAfter>,
        now: Timestamp,
        chance: f64,
    ) {
        if self.throttling.is_alone(change.account) {
            self.throttle.probe_next(now);
            let usual = self.settings.throttle_pause;
            let least = now + asked.map_or(usual, |asked| asked.capped(usual));
            // A failure like any other: it waits ever longer, and a single pass gives it up.
            return self.back_off(change, failure, least, now, chance);
        }
        self.log(RequestLog::Throttled(failure.0.clone()));
        self.slow_down(asked, &failure.0, now);
        // Ready, for the pause holds it back; and behind others, of which one may probe first.
        self.hold_back(change, failure, now, now);
    }

    /// The access token was refused: the account waits for a fresh one, or alone if the token works for others.
    fn token_refused(&mut self, request: &Request, failure: (Failure, Code), now: Timestamp, chance: f64) {
        let change = request.change();
        self.throttle.probe_next(now);
        let others = match self.desired.managed() {
            _ if self.queue.has_ready_beside(change.account) => Others::Ready,
            0 | 1 => Others::None,
            _ => Others::Idle,
        };
        let row = self.ledger.accounts.get(&change.account);
        let accepted_before = row.is_some_and(Row::was_acknowledged);
        let refusal = request.token().map_or(Refusal::Late, |generation| {
            self.tokens.refused(generation, change.account, accepted_before, others, failure.0.clone(), now)
        });
        match refusal {
            Refusal::Late | Refusal::Replaced => self.hold_back(change, failure, now, now),
            Refusal::OfAccount => self.back_off(change, failure, now, now, chance),
            Refusal::OfCredentials => {
                self.credentials_refused(failure.0.clone(), now);
                self.hold_back(change, failure, now, now);
            }
        }
    }
}
