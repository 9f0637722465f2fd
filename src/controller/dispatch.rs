//! Queued accounts become intents.
//!
//! In: the queue. Out: intents, for the next commit; requests for a token.
//! Invariants: nothing is popped before it may start, so the order of the queue holds while
//! everybody waits; the plan is made anew for each account; an intent whose PUT never left is
//! taken back.

use std::time::Duration;

use tracing::{info, warn};

use super::tokens::Need;
use super::{Controller, Event, Flight, Journal};
use crate::account::AccountId;
use crate::change::{Change, Failure};
use crate::condition::Reason;
use crate::guard::Verdict;
use crate::ledger::{Cause, LANDING, Record};
use crate::plan::plan_account;
use crate::report::{HEARTBEAT, Waiting};
use crate::throttle::{Admission, Wait};
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

/// How long an intent may wait for the disk. What waited longer (a disk that was full) is begun anew, for a
/// restart counts a request from its intent and would give its place in the window away too early.
/// As long as the default `--request-timeout`; a disk that always takes longer is broken.
pub(super) const INTENT_AGE_MAX: Duration = Duration::from_secs(30);

impl<T: Transport, J: Journal> Controller<T, J> {
    /// Starts as much as may start now.
    pub(super) fn dispatch(&mut self) {
        let now = self.clock.now();
        self.waiting = None;
        if self.frozen.as_ref().is_some_and(|freeze| freeze.is_over(now)) {
            self.switched(None);
        }
        self.release_held(now);
        while let Some(account) = self.next_account(now) {
            let Some(change) = self.next_change(account, now) else { continue };
            if !self.may_start(now) {
                break;
            }
            self.begin(change, now);
        }
    }

    /// The most urgent account that is ready, unless nothing may start at all.
    fn next_account(&mut self, now: Timestamp) -> Option<AccountId> {
        // Backoffs that are over end here even if nothing may start: else the loop would wait for them again and again.
        let next = self.queue.peek(now);
        let report = self.report.borrow();
        let halted = self.stop_by.is_some() || report.ledger_error.is_some() || report.gave_up.is_some();
        drop(report);
        let halted = halted || self.freeze(now).is_some();
        if halted || self.flights.len() >= self.intents_max() {
            return None;
        }
        next
    }

    /// What the account needs next; takes it out of the queue if that is nothing, or held, or not yet.
    fn next_change(&mut self, account: AccountId, now: Timestamp) -> Option<Change> {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        let (due, later): (Vec<_>, Vec<_>) =
            self.backlog.open(account, &plan).into_iter().partition(|change| change.not_before.is_none());
        // One field may be approved and the other not.
        let verdict = self.guard.verdict(self.desired.managed(), now);
        let (held, may): (Vec<_>, Vec<_>) = due.into_iter().partition(|change| verdict.holds(change));
        let change = may.into_iter().next();
        if change.is_none() && !held.is_empty() {
            self.hold(account, verdict);
        }
        if change.is_none() {
            match later.iter().filter_map(|change| change.not_before).min() {
                Some(until) => self.queue.defer(account, until),
                None => self.queue.remove(account),
            }
        }
        change
    }

    fn hold(&mut self, account: AccountId, verdict: Verdict) {
        if self.backlog.held() == 0 {
            let runbook = self.runbook(Reason::DisruptionBudgetExceeded.as_str());
            warn!(%verdict, runbook, "disruptions are held: they exceed the disruption budget; everything else goes on");
        }
        self.backlog.hold(account);
    }

    /// Lets held disruptions go when they fit the budget again.
    fn release_held(&mut self, now: Timestamp) {
        if self.backlog.held() == 0 || self.guard.verdict(self.desired.managed(), now).exceeded() {
            return;
        }
        info!(accounts = self.backlog.held(), "held disruptions fit the budget again");
        for account in self.backlog.release() {
            self.touch(account, now);
        }
    }

    /// Whether a PUT may start now; if not, notes for how long.
    fn may_start(&mut self, now: Timestamp) -> bool {
        let admission = match self.tokens.need(now) {
            Need::Nothing => self.throttle.admit_put(now),
            Need::Request => return self.request_token(now),
            Need::Patience => return false,
            Need::Until(until) => Admission::At(until, Wait::TokenLimit),
            Need::Others(failure) => {
                self.credentials_refused(&failure);
                return false;
            }
        };
        self.note(admission)
    }

    fn note(&mut self, admission: Admission) -> bool {
        match admission {
            Admission::Now => return true,
            Admission::At(until, why) => self.waiting = Some(Waiting { until, why }),
            Admission::AfterAnother(_) => {}
        }
        false
    }

    /// Asks for a token; the request leaves when its record is durable. Always false: no PUT yet.
    fn request_token(&mut self, now: Timestamp) -> bool {
        let admission = self.throttle.admit_token(now);
        if self.note(admission) {
            self.throttle.begin_token();
            self.tokens.begin();
            self.record(Record::TokenRequest { at: now });
            self.next_commit.token_request = Some(now);
        }
        false
    }

    pub(super) fn credentials_refused(&mut self, failure: &Failure) {
        let (why, runbook) = (failure.message.to_string(), self.runbook(failure.reason.as_str()));
        self.report.send_if_modified(|report| {
            let news = report.credentials_refused.as_ref() != Some(&why);
            if news {
                warn!(reason = %failure.reason, why, runbook, "the credentials do not work; all PUTs wait for others");
                report.credentials_refused = Some(why);
            }
            news
        });
        self.give_up_if_one_pass(&format!("the credentials do not work: {}", failure.message));
    }

    fn begin(&mut self, change: Change, now: Timestamp) {
        let account = change.account;
        let popped = self.queue.pop(now);
        debug_assert_eq!(popped.map(|popped| popped.account), Some(account), "what was peeked is popped");
        if let Some(popped) = popped {
            self.metrics.queue_waited(popped.waited);
        }
        self.throttle.begin_put(now);
        let row = self.ledger.accounts.get(&account);
        let prior = row.and_then(|row| row.field(change.field).cloned());
        let disruption = self.ledger.disruptions.get(&account).copied();
        self.record(Record::Intent {
            at: now,
            account,
            name: change.name.clone(),
            zuid: change.zuid,
            field: change.field,
            to: change.to,
            spec_hash: self.desired.get(account).map_or(0, |desired| desired.spec_hash),
            lands_by: Some(now + INTENT_AGE_MAX + self.settings.request_timeout + LANDING),
            cause: Some(Box::new(Cause { source: change.source.clone(), revision: change.revision.id.clone() })),
        });
        self.next_commit.puts.push(account);
        self.flights.insert(account, Flight { change, prior, disruption, began: now, token: None });
    }

    /// The record of a token request is durable: the request leaves, if it may still.
    pub(super) fn fetch_token(&mut self, begun: Timestamp) {
        let now = self.clock.now();
        let late = now.since(begun) > INTENT_AGE_MAX || self.throttle.pause(now).is_some();
        let late = late || self.stop_by.is_some() || self.freeze(now).is_some();
        let Some(credentials) = self.tokens.credentials().filter(|_| !late) else {
            self.throttle.cancel_token();
            return self.tokens.cancel();
        };
        let (client, out) = (self.client.clone(), self.answers_out.clone());
        tokio::spawn(async move {
            let answer = client.fetch_token(&credentials).await;
            // The controller is gone only if the process ends.
            let _ = out.send(Event::Token(answer)).await;
        });
    }

    /// How long until something may happen by itself.
    pub(super) fn sleep(&self) -> Duration {
        let now = self.clock.now();
        let held = self.guard.next_expiry().filter(|_| self.backlog.held() > 0);
        let waiting = self.waiting.map(|waiting| waiting.until);
        let thaw = self.frozen.as_ref().and_then(|freeze| freeze.until);
        let due = [self.queue.next_due(), waiting, held, thaw, self.backlog.next_wake(), self.stop_by, self.write_by()];
        let next = due.into_iter().flatten().min();
        next.map_or(HEARTBEAT, |next| next.since(now).min(HEARTBEAT))
    }
}
