//! Attempts that failed: what of an account may be tried now, what later, and what not again.
//!
//! In: a plan, and how the last attempt at each field failed, as the ledger remembers it. Out: [`Open`] changes; a
//! record of each failure.
//! Invariants: a failure holds back the field it was said of, and the account's other field only if it speaks of the
//! account as a whole; it holds nothing back once another manifest wants something else; each wait has an end, whatever
//! a clock once said.

use std::time::Duration;

use super::Machine;
use crate::account::{AccountId, Field};
use crate::change::{Change, Failure, Known};
use crate::condition::Reason;
use crate::controller::{APPLY_ATTEMPTS, ATTEMPT_WAIT_MAX};
use crate::ledger::{FailedAttempt, Record};
use crate::plan::AccountPlan;
use crate::timestamp::Timestamp;
use crate::zoho::Code;

/// How many refused accounts are tried again with each that is accepted after all. Two: if the cause is over for all, they
/// double each time, and if it is over for few, as many are refused in vain as twice those that are not.
const TRIED_WITH_EACH: u32 = 2;

/// A change that is tried, now or later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Open {
    pub(super) change: Change,
    /// Not before this moment, for an attempt failed.
    pub(super) until: Option<Timestamp>,
    /// The attempt before this one failed.
    pub(super) failed: bool,
}

/// When an account is tried again that is not to be tried now.
pub(super) fn next(open: &[Open]) -> Option<Timestamp> {
    open.iter().filter_map(|open| open.until).min()
}

/// The changes that may be tried now.
pub(super) fn due(open: &[Open]) -> impl Iterator<Item = &Open> {
    open.iter().filter(|open| open.until.is_none())
}

/// How an attempt failed, and what follows of it.
pub(super) struct Attempt {
    pub(super) failure: Failure,
    pub(super) code: Code,
    pub(super) next: Timestamp,
    pub(super) attempts: u32,
}

impl Machine {
    /// What was said against `change`, if it counts still: against its field, or against the account as a whole.
    pub(super) fn failed(&self, change: &Change) -> Option<&FailedAttempt> {
        self.told(change).filter(|failed| failed.at >= self.tries_from)
    }

    /// What was said against `change`, also before anything was to be tried all the same.
    fn told(&self, change: &Change) -> Option<&FailedAttempt> {
        let row = self.ledger.accounts.get(&change.account)?;
        row.told(change, self.desired.get(change.account)?.spec_hash)
    }

    /// When an attempt at the account failed last.
    pub(super) fn failed_last(&self, account: AccountId) -> Option<Timestamp> {
        let row = self.ledger.accounts.get(&account)?;
        Field::ALL.into_iter().filter_map(|field| row.failed(field)).map(|failed| failed.at).max()
    }

    /// How often the change failed in a row.
    pub(super) fn attempts(&self, change: &Change) -> u32 {
        self.failed(change).map_or(0, |failed| failed.attempts)
    }

    /// What of `plan` is tried, now or later. A single pass gives up what is refused, or fails too often.
    pub(super) fn open(&self, plan: &AccountPlan, now: Timestamp) -> Vec<Open> {
        let open = |change: &Change| {
            if !self.pass.may_try(change) {
                return None;
            }
            let Some(failed) = self.failed(change) else {
                // A pass tries again what failed before it, behind what did not.
                let failed = change.refused || self.told(change).is_some();
                return Some(Open { change: change.clone(), until: None, failed });
            };
            if self.pass.is_single() && (change.refused || failed.attempts >= APPLY_ATTEMPTS) {
                return None;
            }
            let waits = failed.next_attempt > now && failed.next_attempt <= now + ATTEMPT_WAIT_MAX;
            let until = waits.then_some(failed.next_attempt);
            Some(Open { change: change.clone(), until, failed: true })
        };
        plan.changes.iter().filter_map(open).collect()
    }

    /// Writes down that an attempt at `change` failed. Returns whether its reason or code is another
    /// than that of the attempt before.
    pub(super) fn note_failure(&mut self, change: &Change, attempt: Attempt, now: Timestamp) -> bool {
        let Attempt { failure: Failure { reason, message }, code, next, attempts } = attempt;
        let Some(row) = self.ledger.accounts.get(&change.account) else { return true };
        let before = row.failed(change.field).filter(|failed| failed.is_of(change, row.spec_hash));
        let same = before.filter(|before| before.reason == reason);
        // The words of one answer may differ each time, as a request's id in them does.
        let code: Box<str> = code.to_string().into();
        // What was not the change's fault at first was not reported as its failure; a process reports what it meets once.
        let is_first = |before: &FailedAttempt| before.at < self.began || before.attempts == 0 && attempts > 0;
        let news = same.is_none_or(|before| before.code != code || is_first(before));
        // What the service refuses is refused until it is accepted, or may have been: trouble at the next try says nothing
        // else of the change, and must not make others wait for it.
        let may_have_acted = row.known(change.field) == Known::InDoubt;
        let refused = before.filter(|before| before.reason.is_rejection() && !reason.is_rejection() && !may_have_acted);
        if let Some(refused) = refused.filter(|_| !self.pass.is_single()) {
            let failed = FailedAttempt { at: now, next_attempt: next, ..refused.clone() };
            let (account, field) = (change.account, change.field);
            self.record(Record::Failed { account, field, failed: Some(Box::new(failed)) }, now);
            return false;
        }
        let failed = FailedAttempt {
            to: change.to,
            spec_hash: row.spec_hash,
            reason,
            code,
            message,
            since: same.map_or(now, |before| before.since),
            at: now,
            attempts,
            next_attempt: next,
        };
        let (account, field) = (change.account, change.field);
        self.record(Record::Failed { account, field, failed: Some(Box::new(failed)) }, now);
        news
    }

    /// What the ledger has to forget of an account that needs no PUT: what was said against it is over.
    pub(super) fn forget_failures(&mut self, account: AccountId, now: Timestamp) {
        for field in Field::ALL {
            if self.ledger.accounts.get(&account).is_some_and(|row| row.failed(field).is_some()) {
                self.record(Record::Failed { account, field, failed: None }, now);
            }
        }
    }

    /// Tries an account that is not in flight again at `until`, whatever was to be waited for after its failures. A single
    /// pass has given it up, and would only wait for it.
    pub(super) fn try_again_at(&mut self, account: AccountId, until: Timestamp, now: Timestamp) {
        if self.pass.is_single() {
            return;
        }
        for field in Field::ALL {
            let failed = self.ledger.accounts.get(&account).and_then(|row| row.failed(field)).cloned();
            if let Some(failed) = failed {
                let failed = Some(Box::new(FailedAttempt { next_attempt: until, ..failed }));
                self.record(Record::Failed { account, field, failed }, now);
            }
        }
        self.queue.delay(account, until);
    }

    /// How the service refused `change` before, if it did.
    pub(super) fn refused_as(&self, change: &Change) -> Option<(Reason, Box<str>)> {
        let refused = self.failed(change).filter(|failed| failed.reason.is_rejection())?;
        Some((refused.reason, refused.code.clone()))
    }

    /// A change that the service had refused so is accepted, so the cause may be over: two of those that it refused in the
    /// same way are tried again now, and for each that is accepted two more. All others are tried one after the other
    /// within the shortest wait after a refusal: the cause may be over for some and not for others. What is tried anyway
    /// stays as it is, for each acceptance would write a record for each of those that are left.
    pub(super) fn try_again_what_was_refused_alike(&mut self, reason: Reason, code: &str, now: Timestamp) {
        let is_alike = |failed: &&FailedAttempt| failed.reason == reason && *failed.code == *code;
        let waits = |account: AccountId| {
            let row = self.ledger.accounts.get(&account).filter(|_| self.inflight.get(account).is_none())?;
            let failed = Field::ALL.into_iter().filter_map(|field| row.failed(field));
            let next = failed.filter(is_alike).map(|failed| (failed.next_attempt, failed.at)).max()?;
            (next.0 > now).then_some((account, next))
        };
        let mut waiting: Vec<_> = self.backlog.rejected().into_iter().filter_map(waits).collect();
        waiting.sort_unstable_by_key(|(_, (_, failed_at))| *failed_at);
        let (span, number) = (self.settings.rejected.min, u32::try_from(waiting.len()).unwrap_or(u32::MAX));
        for (index, (account, (next, _))) in (0..).zip(waiting) {
            let until = if index < TRIED_WITH_EACH { now } else { now + span / number * index };
            if index < TRIED_WITH_EACH || next > now + span {
                self.try_again_at(account, until, now);
            }
        }
    }

    /// Tries again now what failed before: an operator asks for it.
    pub(super) fn try_all_again(&mut self, now: Timestamp) {
        self.tries_from = now + Duration::from_millis(1);
        self.throttle.ask_now(now);
        for account in self.backlog.rejected() {
            if !self.replan(account, now).is_empty() {
                self.queue.add_retry(account, now);
            }
        }
    }
}
