//! Queued accounts become intents, and durable intents become PUTs.
//!
//! In: the queue. Out: one commit per turn for all intents of that turn, then one task per PUT.
//! Invariants: nothing is popped before it may start, so the order of the queue holds while
//! everybody waits; the plan is made anew for each account; an intent whose PUT never left is
//! taken back.

use std::time::Duration;

use tracing::{info, warn};

use super::intake::urgency;
use super::tokens::Need;
use super::{Commit, Controller, Event, Flight, Journal};
use crate::account::AccountId;
use crate::change::{Change, Failure};
use crate::ledger::Record;
use crate::plan::plan_account;
use crate::report::{HEARTBEAT, Waiting};
use crate::throttle::{Admission, Wait};
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

/// How many durable intents may wait for their PUTs' turn. Each is in doubt after a crash, and goes before what is more urgent.
const AHEAD_MAX: usize = 64;

impl<T: Transport, J: Journal> Controller<T, J> {
    /// Starts as much as may start now.
    pub(super) fn dispatch(&mut self) {
        let now = self.clock.now();
        self.waiting = None;
        self.release_held(now);
        let mut begun = Vec::new();
        while let Some(account) = self.next_account(now) {
            let Some(change) = self.next_change(account, now) else { continue };
            if !self.may_start(now) {
                break;
            }
            self.begin(change, now);
            begun.push(account);
        }
        if !begun.is_empty() {
            let ticket = self.write();
            self.commits.insert(ticket, Commit::Puts(begun));
        }
    }

    /// The most urgent account that is ready, unless nothing may start at all.
    fn next_account(&mut self, now: Timestamp) -> Option<AccountId> {
        let report = self.report.borrow();
        let halted = self.stop_by.is_some() || report.ledger_error.is_some() || report.gave_up.is_some();
        drop(report);
        if halted || self.flights.len() >= self.intents_max() {
            return None;
        }
        self.queue.peek(now)
    }

    /// What the account needs next; takes it out of the queue if that is nothing, or held.
    fn next_change(&mut self, account: AccountId, now: Timestamp) -> Option<Change> {
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, self.desired.get(account), row, now);
        let change = self.backlog.open(account, &plan).into_iter().next();
        let held = change.as_ref().is_some_and(Change::is_disruption)
            && self.guard.verdict(self.desired.managed(), now).exceeded();
        if held {
            self.hold(account, now);
        }
        let change = change.filter(|_| !held);
        if change.is_none() {
            self.queue.remove(account);
        }
        change
    }

    fn hold(&mut self, account: AccountId, now: Timestamp) {
        if self.backlog.held() == 0 {
            let verdict = self.guard.verdict(self.desired.managed(), now);
            warn!(%verdict, "disruptions are held: they exceed the disruption budget; everything else goes on");
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
            let ticket = self.write();
            self.commits.insert(ticket, Commit::TokenRequest);
        }
        false
    }

    pub(super) fn credentials_refused(&mut self, failure: &Failure) {
        let message = failure.message.to_string();
        self.report.send_if_modified(|report| {
            let news = report.credentials_refused.as_ref() != Some(&message);
            if news {
                warn!(reason = %failure.reason, message, "the credentials do not work; all PUTs wait for others");
                report.credentials_refused = Some(message);
            }
            news
        });
        self.give_up_if_one_pass("the credentials do not work");
    }

    fn begin(&mut self, change: Change, now: Timestamp) {
        let account = change.account;
        let popped = self.queue.pop(now);
        debug_assert_eq!(popped.map(|popped| popped.account), Some(account), "what was peeked is popped");
        if let Some(popped) = popped {
            self.metrics.queue_waited(popped.waited);
        }
        self.throttle.begin_put();
        let row = self.ledger.accounts.get(&account);
        let prior = row.and_then(|row| row.field(change.field).cloned());
        self.record(Record::Intent {
            at: now,
            account,
            name: change.name.clone(),
            zuid: change.zuid,
            field: change.field,
            to: change.to,
            spec_hash: self.desired.get(account).map_or(0, |desired| desired.spec_hash),
        });
        self.flights.insert(account, Flight { change, prior, began: now, token: None });
    }

    /// How many intents may be under way: one for each PUT, and where the service answers faster than the disk, those
    /// that it will have answered before the next are durable. With a request budget nothing waits for the disk.
    fn intents_max(&self) -> usize {
        // One answer a commit is what a slow service gives as well. An intent waits for the commit before its own, too,
        // and for no more of them than that: hence twice, and as much again to let it grow.
        let ahead = 4 * self.answered.saturating_sub(1);
        let ahead = if self.settings.rate_limit.is_none() { ahead.min(AHEAD_MAX) } else { 0 };
        self.settings.max_concurrency + ahead
    }

    /// Durable intents become PUTs, as many as may be in flight. If nothing may leave any more, all are taken back.
    pub(super) fn launch(&mut self) {
        if self.durable.is_empty() || self.report.borrow().ledger_error.is_some() {
            return;
        }
        let stays = self.stop_by.is_some() || !self.throttle.may_leave(self.clock.now());
        let mut sent = self.sent();
        while let Some(account) = self.durable.pop_front_if(|_| stays || sent < self.settings.max_concurrency) {
            if stays {
                self.take_back(account);
            } else {
                sent += usize::from(self.send(account));
            }
        }
    }

    /// How many PUTs are in flight, as opposed to intents on their way to the disk or waiting for their turn.
    pub(super) fn sent(&self) -> usize {
        self.flights.values().filter(|flight| flight.token.is_some()).count()
    }

    /// The account's intent is durable: its PUT leaves, if it is wanted still. The disk may have taken
    /// its time, and the manifest or the budget may have changed meanwhile. Says whether it left.
    fn send(&mut self, account: AccountId) -> bool {
        let wanted = self.is_wanted(account);
        let ready = self.tokens.current().filter(|_| wanted);
        let Some((token, generation)) = ready.map(|(token, generation)| (token.clone(), generation)) else {
            self.take_back(account);
            return false;
        };
        let Some(flight) = self.flights.get_mut(&account) else { return false };
        flight.token = Some(generation);
        let (client, change, out) = (self.client.clone(), flight.change.clone(), self.answers_out.clone());
        tokio::spawn(async move {
            let answer = client.put(&change, &token).await;
            // The controller is gone only if the process ends; then the field stays in doubt.
            let _ = out.send(Event::Answered { account, answer }).await;
        });
        true
    }

    fn is_wanted(&mut self, account: AccountId) -> bool {
        let now = self.clock.now();
        let Some(Flight { change, .. }) = self.flights.get(&account) else { return false };
        if change.is_disruption() && self.guard.verdict(self.desired.managed(), now).exceeded() {
            return false;
        }
        let plan = plan_account(account, self.desired.get(account), self.ledger.accounts.get(&account), now);
        plan.changes.iter().any(|planned| (planned.field, planned.to) == (change.field, change.to))
    }

    /// Takes back every intent whose PUT never left: the conductor ends.
    pub(super) fn take_back_unsent(&mut self) {
        let unsent: Vec<_> =
            self.flights.iter().filter(|(_, flight)| flight.token.is_none()).map(|(account, _)| *account).collect();
        unsent.into_iter().for_each(|account| self.take_back(account));
    }

    /// The PUT never left: the ledger forgets the intent.
    fn take_back(&mut self, account: AccountId) {
        let Some(flight) = self.flights.remove(&account) else { return };
        let now = self.clock.now();
        self.throttle.cancel_put(now);
        self.record(Record::NotApplied { account, field: flight.change.field, restore: flight.prior });
        self.queue.put_back(account, urgency(&[flight.change]), now);
    }

    /// The record of a token request is durable: the request leaves.
    pub(super) fn fetch_token(&mut self) {
        let Some(credentials) = self.tokens.credentials() else { return };
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
        let due = [self.queue.next_due(), waiting, held, self.backlog.next_wake(), self.stop_by];
        let next = due.into_iter().flatten().min();
        next.map_or(HEARTBEAT, |next| next.since(now).min(HEARTBEAT))
    }
}
