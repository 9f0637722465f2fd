//! Intents become durable, and durable intents become PUTs.
//!
//! In: intents, answers, commits of the ledger. Out: one task per PUT, and the moments at which the journal is written.
//! Invariants: a PUT leaves only after its intent is durable, and only if it is wanted then and may leave then; an
//! intent whose PUT never left is taken back.
//!
//! Where no request budget holds requests back and the service is fast, it is the disk that is waited for. Then the disk
//! works ahead: while PUTs are answered, the next intents become durable, many with one sync.

use std::time::Duration;

use super::dispatch::INTENT_AGE_MAX;
use super::{Controller, Event, Flight, Journal};
use crate::account::AccountId;
use crate::ledger::Record;
use crate::plan::plan_account;
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

/// How many durable intents may wait for their PUTs' turn. Each is in doubt after a crash, and goes before what is more urgent.
const AHEAD_MAX: usize = 64;

/// How long a record may wait for others to share its sync, while durable intents keep the requests going: some ten
/// syncs of a good disk, and far less than a person notices.
const WRITE_DELAY: Duration = Duration::from_millis(2);

impl<T: Transport, J: Journal> Controller<T, J> {
    /// How many intents may be under way: one for each PUT, and where the service answers faster than the disk, those
    /// that it will have answered before the next are durable. With a request budget nothing waits for the disk.
    pub(super) fn intents_max(&self) -> usize {
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
        let now = self.clock.now();
        let stays = self.stop_by.is_some() || self.freeze(now).is_some() || !self.throttle.may_leave(now, now);
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
        let wanted = self.is_wanted(account) && self.is_timely(account);
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

    /// Whether the PUT may leave now as it might have at its intent: an intent waits for the disk, and
    /// meanwhile the service may have asked everybody to pause.
    fn is_timely(&self, account: AccountId) -> bool {
        let now = self.clock.now();
        let timely =
            |flight: &Flight| now.since(flight.began) <= INTENT_AGE_MAX && self.throttle.may_leave(flight.began, now);
        self.flights.get(&account).is_some_and(timely)
    }

    /// Takes back every intent whose PUT never left: the conductor ends.
    pub(super) fn take_back_unsent(&mut self) {
        let unsent: Vec<_> =
            self.flights.iter().filter(|(_, flight)| flight.token.is_none()).map(|(account, _)| *account).collect();
        unsent.into_iter().for_each(|account| self.take_back(account));
    }

    /// The PUT never left: the ledger forgets the intent, and the account is planned again. What was wanted may be
    /// wanted no more.
    fn take_back(&mut self, account: AccountId) {
        let Some(flight) = self.flights.remove(&account) else { return };
        let now = self.clock.now();
        self.throttle.cancel_put(flight.began, now);
        self.not_applied(&flight);
        self.step(account, now);
    }

    /// Hands over what is to be written; not yet, while so many durable intents wait that requests go on without.
    pub(super) fn write_if_due(&mut self) {
        let urgent = self.durable.len() <= self.settings.max_concurrency;
        if self.write_by().is_some_and(|by| urgent || by <= self.clock.now()) {
            self.write();
        }
    }

    /// When records that are kept must be handed over.
    pub(super) fn write_by(&self) -> Option<Timestamp> {
        (!self.unwritten.is_empty()).then(|| self.unwritten_since + WRITE_DELAY)
    }

    /// Lives through `record`, and keeps it for the next [`Self::write`].
    pub(super) fn record(&mut self, record: Record) {
        if self.unwritten.is_empty() {
            self.unwritten_since = self.clock.now();
        }
        self.ledger.apply(record.clone());
        if let Some(account) = record.account() {
            // The guard remembers what the ledger does: a restart must not make it forget, or count anew.
            match self.ledger.disruptions.get(&account) {
                Some(at) => self.guard.applied(account, *at),
                None => self.guard.undo(account, None),
            }
        }
        self.unwritten.push(record);
    }

    /// Hands all records over. What waits for them goes on when they are durable.
    pub(super) fn write(&mut self) {
        if !self.unwritten.is_empty() {
            self.ticket += 1;
            self.commits.insert(self.ticket, std::mem::take(&mut self.next_commit));
            self.journal.append(std::mem::take(&mut self.unwritten), self.ticket);
        }
    }
}
