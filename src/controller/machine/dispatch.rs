//! Queued accounts become intents.
//!
//! In: the queue. Out: intents, for the next commit; requests for a token.
//! Invariants: nothing is popped before it may start, so the order of the queue holds while
//! everybody waits; the plan is made anew for each account.

use std::time::Duration;

use super::Machine;
use super::blocked::Delay;
use super::inflight::{Before, Request};
use super::reconcile::Action;
use super::token::Need;
use crate::account::AccountId;
use crate::change::Change;
use crate::controller::event::{Effect, Metric, RequestLog, Then};
use crate::ledger::{Cause, LANDING, Record};
use crate::queue::Probe;
use crate::throttle::{Admission, Wait};
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// How long an intent may wait for the disk. What waited longer (a disk that was full) is begun anew, for a
/// restart counts a request from its intent and would give its place in the window away too early.
/// As long as the default `--request-timeout`; a disk that always takes longer is broken.
pub(super) const INTENT_AGE_MAX: Duration = Duration::from_secs(30);

/// What is to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    /// A request that changes nothing.
    Read,
}

/// Whether a request may start.
pub(super) enum Start {
    Yes,
    No,
    /// The credentials have to be read first.
    Credentials,
}

impl Machine {
    /// Starts as much as may start now. Says whether that has come to its end, or goes on with the credentials.
    pub(super) fn dispatch(&mut self, now: Timestamp) -> Then {
        self.waiting = None;
        // Not with a tick alone: what comes in without a gap would put the moments off that people wrote down.
        self.wake(now);
        self.tell_suspension(now);
        self.tokens.try_if_due(now);
        self.look_at_held(now);
        if self.dispatch_read(now) == Then::ReadCredentials {
            return Then::ReadCredentials;
        }
        while let Some(account) = self.next_account(now) {
            let change = match self.reconcile(account, now) {
                Action::Put(change) => change,
                Action::Hold(until) => {
                    // It was queued before the budget was exceeded: from here on it is among those that are held.
                    self.replan(account, now);
                    self.rest(account, until);
                    continue;
                }
                Action::RequeueAt(until) => {
                    self.rest(account, Some(until));
                    continue;
                }
                Action::Done => {
                    self.rest(account, None);
                    continue;
                }
            };
            match self.may_start(Kind::Put, now) {
                Start::Yes => self.begin(change, now),
                Start::No => break,
                Start::Credentials => return Then::ReadCredentials,
            }
        }
        Then::Wait
    }

    /// The most urgent account that is ready, unless nothing may start at all.
    fn next_account(&mut self, now: Timestamp) -> Option<AccountId> {
        // Backoffs that are over end here even if nothing may start: else the loop would wait for them again and again.
        let wants_grant = self.throttle.probes_with_grant() || self.tokens.wants_grant();
        // Two from each end in turn: which ones fail is not known.
        let in_vain = self.throttle.failed_probes().max(self.throttled);
        let wants_last = self.tokens.wants_another_end() || self.throttle.probes_next() && in_vain / 2 % 2 == 1;
        let probe = match (wants_last, wants_grant) {
            (true, _) => Probe::Last,
            (false, true) => Probe::Grant,
            (false, false) => Probe::Next,
        };
        let met = self.met_trouble.filter(|_| self.throttle.probes_next());
        let next = self.queue.peek_probe(probe, met, now);
        let halted = self.blocked(now).any(|blocked| blocked.stops_planning());
        next.filter(|_| !halted && self.inflight.has_room())
    }

    /// Whether a request of this kind may start now; if not, notes for how long.
    pub(super) fn may_start(&mut self, kind: Kind, now: Timestamp) -> Start {
        let admission = match self.tokens.need(now) {
            Need::Nothing if kind == Kind::Read => self.throttle.admit_read(now),
            Need::Nothing => self.throttle.admit_put(now),
            Need::Credentials => return Start::Credentials,
            Need::Request => {
                self.request_token(now);
                return Start::No;
            }
            Need::Patience => return Start::No,
            // The accounts host may be what asked for the pause.
            Need::Until(until) => {
                let paused = self.throttle.pause(now).map(|pause| Wait::Paused(pause.reason));
                Admission::At(until, paused.unwrap_or(Wait::TokenUnavailable))
            }
            Need::Others(failure) => {
                self.credentials_refused(failure, now);
                return Start::No;
            }
        };
        if self.is_admitted(admission, now) { Start::Yes } else { Start::No }
    }

    fn is_admitted(&mut self, admission: Admission, now: Timestamp) -> bool {
        match admission {
            Admission::Now => return true,
            Admission::At(until, why) => {
                self.waiting = Some(Delay { until, why });
                // Once a time: with a limit that is reached, each request for a token waits a little.
                let is_over = self.token_limit.is_none_or(|said| said <= now);
                if why == Wait::TokenLimit && is_over {
                    self.token_limit = Some(until);
                    self.log(RequestLog::TokenLimit(until));
                }
            }
            Admission::AfterAnother(_) => {}
        }
        false
    }

    /// Asks for a token; the request leaves when its record is durable.
    fn request_token(&mut self, now: Timestamp) {
        let admission = self.throttle.admit_token(now);
        if self.is_admitted(admission, now) {
            self.throttle.begin_token();
            self.tokens.begin();
            self.record(Record::TokenRequest { at: now }, now);
            self.unwritten.token_request(now);
        }
    }

    fn begin(&mut self, change: Change, now: Timestamp) {
        let account = change.account;
        let popped = self.queue.take(account, now);
        debug_assert!(popped.is_some(), "what is begun was ready");
        if let Some(popped) = popped {
            self.count(Metric::QueueWaited(popped.waited));
        }
        self.throttle.begin_put(now);
        let row = self.ledger.accounts.get(&account);
        let before = Before {
            field: row.and_then(|row| row.field(change.field).cloned()),
            charged: [&self.ledger.disruptions, &self.ledger.returns].map(|charged| charged.get(&account).copied()),
            valid_until: row.and_then(|row| row.valid_until),
        };
        let intent = Record::Intent {
            at: now,
            account,
            name: change.name.clone(),
            zuid: change.zuid,
            field: change.field,
            to: change.to,
            spec_hash: self.desired.get(account).map_or(0, |desired| desired.spec_hash),
            lands_by: Some(now + INTENT_AGE_MAX + self.settings.request_timeout + LANDING),
            cause: Some(Box::new(Cause {
                source: change.source.clone(),
                revision: change.revision.id.clone(),
                approval: change.approval.clone(),
                valid_until: change.validity.and_then(Validity::ended),
            })),
        };
        self.record(intent, now);
        self.unwritten.put(account);
        self.inflight.begin(Request::new(change, before, now));
    }

    /// The record of a token request is durable: the request leaves, if it may still.
    pub(super) fn fetch_token(&mut self, begun: Timestamp, now: Timestamp) {
        let late = now.since(begun) > INTENT_AGE_MAX;
        let late = late || self.blocked(now).any(|blocked| blocked.recalls_token_request());
        match self.tokens.credentials().filter(|_| !late) {
            Some(credentials) => self.effects.push(Effect::FetchToken(Box::new(credentials))),
            None => {
                self.token_not_sent(now);
                self.tokens.cancel();
            }
        }
    }
}
