//! Durable intents become PUTs.
//!
//! In: intents that are on the disk. Out: PUTs, and the moments at which records are handed over.
//! Invariants: a PUT leaves only after its intent is durable, and only if it is wanted then and may leave then; an
//! intent whose PUT never left is taken back.

use super::dispatch::INTENT_AGE_MAX;
use super::{Blocked, Machine};
use crate::account::AccountId;
use crate::controller::event::{Effect, Put};
use crate::guard::Verdict;
use crate::ledger::Record;
use crate::plan::plan_account;
use crate::timestamp::Timestamp;

impl Machine {
    /// Durable intents become PUTs, as many as may be in flight. If nothing may leave any more, all are taken back.
    pub(super) fn send_durable(&mut self, now: Timestamp) {
        let mut stays = false;
        for blocked in self.blocked(now) {
            if matches!(blocked, Blocked::Ledger(..)) {
                return;
            }
            stays |= blocked.recalls_intents();
        }
        if stays {
            while let Some(account) = self.inflight.next_to_recall() {
                self.take_back(account, now);
            }
        }
        while let Some(account) = self.inflight.next_durable() {
            self.send(account, now);
        }
    }

    /// The account's intent is durable: its PUT leaves, if it is wanted still. The disk may have taken
    /// its time, and the manifest or the budget may have changed meanwhile.
    fn send(&mut self, account: AccountId, now: Timestamp) {
        let wanted = self.is_wanted(account, now) && self.is_timely(account, now);
        let ready = self.tokens.current().filter(|_| wanted);
        let put = ready.and_then(|(token, generation)| {
            let change = self.inflight.sent_with(account, generation)?.clone();
            Some(Put { change, token: token.clone() })
        });
        match put {
            Some(put) => self.effects.push(Effect::Put(Box::new(put))),
            None => self.take_back(account, now),
        }
    }

    fn is_wanted(&mut self, account: AccountId, now: Timestamp) -> bool {
        let Some(request) = self.inflight.get(account) else { return false };
        let (change, desired) = (request.change(), self.desired.get(account));
        // What was approved at the intent was decided in time, though the approval may have expired since. If it is gone,
        // it was taken back.
        let approved = |direction| {
            desired.is_some_and(|desired| desired.approval(change.field, direction, request.began()).is_some())
        };
        let counted = change.direction().filter(|direction| !change.begun && !approved(*direction));
        let verdicts = self.guards.verdicts_on(account, self.desired.managed(), now);
        if counted.and_then(|direction| verdicts.of(direction)).is_some_and(Verdict::exceeded) {
            return false;
        }
        let plan = plan_account(account, desired, self.ledger.accounts.get(&account), now);
        plan.changes.iter().any(|planned| (planned.field, planned.to) == (change.field, change.to))
    }

    /// Whether the PUT may leave now as it might have at its intent: an intent waits for the disk, and
    /// meanwhile the service may have asked everybody to pause.
    fn is_timely(&self, account: AccountId, now: Timestamp) -> bool {
        let began = self.inflight.get(account).map(|request| request.began());
        began.is_some_and(|began| now.since(began) <= INTENT_AGE_MAX && self.throttle.may_leave(began, now))
    }

    /// Takes back every intent whose PUT never left: the controller ends.
    pub(super) fn take_back_unsent(&mut self, now: Timestamp) {
        self.inflight.unsent().into_iter().for_each(|account| self.take_back(account, now));
    }

    /// The PUT never left: the ledger forgets the intent, and the account is planned again. What was wanted may be
    /// wanted no more.
    fn take_back(&mut self, account: AccountId, now: Timestamp) {
        let Some(request) = self.inflight.end(account) else { return };
        self.throttle.cancel_put(request.began(), now);
        self.not_applied(&request, now);
        self.step(account, now);
    }

    /// Lives through `record`, and keeps it until it is handed over.
    pub(super) fn record(&mut self, record: Record, now: Timestamp) {
        self.ledger.apply(record.clone());
        if let Some(account) = record.account() {
            self.guards.remember(account, &self.ledger);
        }
        self.unwritten.push(record, now);
    }

    /// Hands over what is to be written; not yet, while so many durable intents wait that requests go on without.
    pub(super) fn write_if_due(&mut self, now: Timestamp) {
        if self.unwritten.due().is_some_and(|due| self.inflight.needs_commit() || due <= now) {
            self.write();
        }
    }

    /// Hands all records over. What waits for them goes on when they are durable.
    pub(super) fn write(&mut self) {
        if let Some((records, ticket)) = self.unwritten.hand_over() {
            self.effects.push(Effect::Append { records, ticket });
        }
    }
}
