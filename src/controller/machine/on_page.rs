//! Pages of the organization's accounts: asked for, and what their answers mean for the ledger.
//!
//! In: the reading that goes first; how its requests ended. Out: requests for pages; records of what the ledger did not
//! know, and the accounts planned anew.
//! Invariants: a page is asked for only when its record is durable, within the request budget, and never during a pause or
//! a suspension; a read corrects the ledger and never PUTs by itself; what is not declared, not managed or not shown
//! changes nothing; an account whose user is another one is not believed.

use std::time::Duration;

use super::dispatch::{INTENT_AGE_MAX, Kind, Start};
use super::{Machine, Mode};
use crate::change::{Direction, Failure, Outcome, PauseCause};
use crate::condition::Reason;
use crate::controller::DriftPolicy;
use crate::controller::event::{DriftLog, Effect, Metric, Read, RequestLog, Then};
use crate::ledger::Record;
use crate::observed::ObservedAccount;
use crate::plan::{Difference, Shown, drift_record, shown};
use crate::queue::Probe;
use crate::report::{Odd, Oddity, ServiceRead};
use crate::throttle::Usage;
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Code, PageAnswer};

/// How long a reading that goes beside everything else waits until it looks again whether it may go on.
const BESIDE_WAIT: Duration = Duration::from_secs(5);

/// How many drifted accounts of one reading are logged one by one; the last line has their number, `status` lists them.
const DRIFT_LOGGED: usize = 20;

impl Machine {
    /// What was read of the service, and the accounts if they are to be handed out; nothing if none was to be read.
    pub fn take_read(&mut self) -> Option<(ServiceRead, Vec<ObservedAccount>)> {
        self.reading.take().map(super::reading::Reading::into_parts)
    }

    /// Asks for the next page, if one is due and may be asked for.
    pub(super) fn dispatch_read(&mut self, now: Timestamp) -> Then {
        let is_due = self.reading.as_ref().and_then(|reading| reading.due()).is_some_and(|due| due <= now);
        if !is_due || !self.may_read() || self.blocked(now).any(|blocked| blocked.stops_reading()) {
            return Then::Wait;
        }
        let goes_first = self.reading.as_ref().is_some_and(|reading| reading.goes_first());
        if !goes_first && self.has_better_to_do(now) {
            self.reading.iter_mut().for_each(|reading| reading.wait(now, BESIDE_WAIT));
            return Then::Wait;
        }
        match self.may_start(Kind::Read, now) {
            Start::Credentials => return Then::ReadCredentials,
            Start::No => {}
            Start::Yes => {
                self.throttle.begin_read();
                self.record(Record::ReadRequest { at: now }, now);
                self.unwritten.read(now);
                self.reading.iter_mut().for_each(|reading| reading.begin(now));
            }
        }
        Then::Wait
    }

    /// The record of the request for a page is durable: it leaves, if it may still.
    pub(super) fn send_read(&mut self, begun: Timestamp, now: Timestamp) {
        let late = now.since(begun) > INTENT_AGE_MAX;
        let late = late || self.blocked(now).any(|blocked| blocked.recalls_token_request());
        let token = self.tokens.current().filter(|_| !late);
        let token = token.map(|(token, generation)| (token.clone(), generation));
        match (&mut self.reading, token) {
            (Some(reading), Some((token, generation))) => {
                let window = reading.send(begun, generation);
                self.effects.push(Effect::Read(Box::new(Read { window, token })));
            }
            _ => self.read_not_sent(now),
        }
    }

    /// A request for a page that was begun did not leave: it takes no place in the request budget.
    pub(super) fn read_not_sent(&mut self, now: Timestamp) {
        if let Some(begun) = self.reading.as_ref().and_then(|reading| reading.unsent()) {
            self.throttle.cancel_read();
            self.record(Record::ReadNotSent { begun }, now);
            self.reading.iter_mut().for_each(|reading| reading.cancel(now));
        }
    }

    /// `chance`, from 0 to 1, spreads a backoff.
    pub(super) fn on_page(&mut self, PageAnswer { answer, page }: PageAnswer, now: Timestamp, chance: f64) {
        let Some((begun, token)) = self.reading.as_mut().and_then(|reading| reading.answered(now)) else { return };
        self.throttle.end_read(now);
        self.count(Metric::Request { operation: "list", code: answer.code, took: answer.took });
        let Answer { outcome, retry_after, code, .. } = answer;
        match outcome {
            Outcome::Applied => {
                self.throttled = 0;
                let mut page = page.unwrap_or_default();
                let last = self.last_read.as_ref().map_or(0, |last| last.accounts);
                let expected = self.desired.managed().max(last);
                self.reading.iter_mut().for_each(|reading| reading.take(&mut page, expected));
                let shown = page.accounts.len();
                page.accounts.iter().for_each(|account| self.observe(account, shown, begun, now));
            }
            Outcome::Paused(PauseCause::Throttled, failure) => {
                self.log(RequestLog::Throttled(failure.clone()));
                self.slow_down(retry_after, &failure, now);
                self.asked_to_wait_by_a_page(&failure);
            }
            Outcome::Paused(PauseCause::TokenRefused, failure) => {
                // Once: what is refused with a fresh token as well is refused to reads, and tokens are few.
                if self.reading.as_ref().is_some_and(|reading| reading.is_first_attempt()) {
                    self.tokens.renew(token);
                }
                self.not_read(&failure, code, now, chance);
            }
            Outcome::Retry(failure) | Outcome::InDoubt(failure) => {
                if let Some(asked) = retry_after {
                    self.impose(asked, Reason::ServiceUnavailable, now);
                    self.asked_to_wait_by_a_page(&failure);
                } else {
                    self.not_read(&failure, code, now, chance);
                }
            }
            Outcome::Paused(PauseCause::ScopeMissing, failure) | Outcome::Rejected(failure) => {
                self.reading.iter_mut().for_each(|reading| reading.end(failure.message.clone()));
            }
        }
        if self.reading.as_ref().is_some_and(|reading| reading.is_over()) {
            self.end_reading(now);
        }
    }

    /// The page was not had for a reason that may pass.
    fn not_read(&mut self, failure: &Failure, code: Code, now: Timestamp, chance: f64) {
        let Some(reading) = &mut self.reading else { return };
        if let Some(attempts) = reading.fail(&failure.message, code == Code::Timeout) {
            reading.wait(now, self.settings.backoff.delay(attempts, chance));
            self.log(RequestLog::ReadAgain { failure: failure.clone(), attempts });
        }
    }

    /// The service asks everybody to wait for a page. One that goes first counts as an attempt, so that PUTs do not wait
    /// without an end; a reading beside ends, so that pages do not keep edits waiting again and again.
    fn asked_to_wait_by_a_page(&mut self, failure: &Failure) {
        let Some(reading) = self.reading.as_mut().filter(|reading| !reading.is_over()) else { return };
        if reading.goes_first() {
            reading.fail(&failure.message, false);
        } else {
            reading.end(failure.message.clone());
        }
    }

    /// The service shows an account, one of so many on a page: what the ledger did not know of it is written down, if a
    /// manifest manages it.
    fn observe(&mut self, observed: &ObservedAccount, shown_with: usize, begun: Timestamp, now: Timestamp) {
        let account = observed.account;
        let reading = self.reading.as_mut().filter(|reading| reading.is_about(account));
        let (Some(desired), Some(reading)) = (self.desired.get(account), reading) else { return };
        // Who asks for a refresh, or applies after one, means what the service shows.
        let is_daemon = self.settings.mode == Mode::Run;
        let difference = if is_daemon { Difference::IsDrift } else { Difference::Corrects };
        let Shown { news, drift, odd } = shown(account, &desired, &self.ledger, observed, difference, (begun, now));
        let corrects = self.settings.drift_policy == DriftPolicy::Correct;
        let row = self.ledger.accounts.get(&account);
        let drifts = drift.iter().filter(|(_, found)| found.is_some()).count();
        let drift = drift.into_iter().filter_map(|drift| drift_record((account, row?), drift, corrects, now));
        let found = reading.found_mut();
        found.declared += 1;
        found.corrected += usize::from(news.is_some());
        found.drifted += usize::from(drifts > 0);
        found.odd.extend(odd.map(|what| Odd::of(account, &desired, what)));
        let records: Vec<_> = news.into_iter().chain(drift).collect();
        if records.is_empty() {
            return;
        }
        for record in records {
            if let Record::Drifted { field, found: Some(found), corrects, .. } = &record
                && self.reading.as_mut().is_some_and(|reading| reading.logs_one_more(DRIFT_LOGGED))
            {
                let name = self.desired.get(account).map_or_else(Default::default, |desired| desired.name.clone());
                let drift = DriftLog { account, name, field: *field, found: *found, corrects: *corrects };
                self.log(RequestLog::Drifted(drift));
            }
            self.record(record, now);
        }
        self.touch(account, shown_with, now);
    }

    /// All is read, or nothing more is going to be: what was planned before is planned by what is known now.
    fn end_reading(&mut self, now: Timestamp) {
        let Some(reading) = &mut self.reading else { return };
        if reading.found().incomplete.is_none() {
            let is_missing = |account| reading.is_about(account) && !reading.has(account);
            let missing = self.desired.iter().filter(|(account, _)| is_missing(*account));
            let missing = missing.map(|(account, desired)| Odd::of(account, &desired, Oddity::NotListed));
            let missing: Vec<_> = missing.collect();
            reading.found_mut().odd.extend(missing);
        }
        let found = reading.found_mut();
        found.odd.sort_by_key(|odd| odd.account);
        found.ended_at = Some(now);
        let found = found.clone();
        if let Some(why) = &found.incomplete {
            self.pass.give_up(|| format!("the organization's accounts were not read: {why}"));
        }
        self.log(RequestLog::Read(found));
        if self.pass.is_single() {
            return self.plan_again(now);
        }
        self.last_read = self.reading.take().map(|reading| {
            self.reading = reading.next(&self.settings, now);
            reading.into_parts().0
        });
    }

    /// A single pass sets out to make what is planned by what was read; what was held, or queued, before that counts no more.
    fn plan_again(&mut self, now: Timestamp) {
        self.note_plan(now);
        Direction::ALL.into_iter().for_each(|direction| drop(self.backlog.release(direction)));
        let planned = self.pass.accounts();
        planned.iter().for_each(|account| self.touch(*account, planned.len(), now));
    }

    /// Whether a reading that goes beside everything else has to wait: for what can be sent, and for half of the request
    /// budget, which is left to edits. Not for a service in trouble: a page is one request at a time, as a probe is, and
    /// with nothing to send none else goes.
    fn has_better_to_do(&mut self, now: Timestamp) -> bool {
        let Usage { used, limit, .. } = self.throttle.usage(now);
        let is_busy = self.queue.peek_probe(Probe::Next, None, now).is_some() || self.inflight.len() > 0;
        is_busy || limit.is_some_and(|limit| used * 2 >= limit as usize)
    }

    /// Whether what is read can be compared with manifests, or need not be.
    pub(super) fn may_read(&self) -> bool {
        self.folder.is_loaded() || self.settings.mode == Mode::Export
    }

    /// Whether the reading goes before everything else.
    pub(super) fn reads_first(&self) -> bool {
        self.settings.mode.only_reads()
            || self.reading.as_ref().is_some_and(|reading| reading.goes_first() && !reading.is_over())
    }
}
