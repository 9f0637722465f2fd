//! Orders from outside, and the end: a signal, a suspension, the end of a single pass.
//!
//! In: orders. Out: what blocks requests from now on, and whether the controller has ended.
//! Invariants: what is in flight is finished, or left in doubt when the grace is over; nothing leaves during a
//! suspension, also not what was intended before it.

use std::sync::Arc;

use super::suspension::News;
use super::{Blocked, Machine};
use crate::account::AccountId;
use crate::controller::event::StateLog;
use crate::freeze::Freeze;
use crate::ledger::Record;
use crate::order::Order;
use crate::timestamp::Timestamp;

impl Machine {
    pub(super) fn stop(&mut self, now: Timestamp) {
        if self.stop_by.is_none() {
            let grace = self.settings.shutdown_grace;
            self.log(StateLog::Stopping { in_flight: self.inflight.len(), grace });
            self.stop_by = Some(now + grace);
        }
    }

    /// Carries out what an operator ordered. An order that is about what is no longer so came too late, or twice.
    pub(super) fn carry_out(&mut self, order: Order, now: Timestamp) {
        match order {
            Order::PauseLift { until, by } => self.lift_pause(until, by, now),
            Order::Forget { accounts, by } => accounts.into_iter().for_each(|account| self.forget(account, &by, now)),
        }
    }

    /// Forgets an account whose manifest is gone, if that is known for sure and nothing of it is in doubt.
    fn forget(&mut self, account: AccountId, by: &Option<Box<str>>, now: Timestamp) {
        let Some(row) = self.ledger.accounts.get(&account) else { return };
        let name = Arc::clone(&row.name);
        let is_unsure = !self.folder.is_loaded() || self.folder.unknown().is_some() || self.desired.problem_count() > 0;
        let why = if self.desired.get(account).is_some() {
            Some("a manifest declares it".to_owned())
        } else if is_unsure {
            Some("not all manifests can be read, so it is not known whose is gone".to_owned())
        } else if self.inflight.get(account).is_some() {
            Some("a request of it is under way".to_owned())
        } else {
            self.ledger.may_land(account, now).map(|until| format!("a PUT may still take effect until {until}"))
        };
        if let Some(why) = why {
            return self.log(StateLog::NotForgotten { account, name, why });
        }
        self.log(StateLog::Forgotten { account, name: Arc::clone(&name), by: by.clone() });
        self.record(Record::Forgotten { at: now, account, name, by: by.clone() }, now);
        self.touch(account, 1, now);
    }

    /// Everything was suspended, or resumed.
    pub(super) fn suspend(&mut self, freeze: Option<Freeze>, now: Timestamp) {
        self.suspension.set(freeze);
        self.tell_suspension(now);
    }

    /// What there is to tell of the suspension, which ends by itself.
    pub(super) fn tell_suspension(&mut self, now: Timestamp) {
        match self.suspension.news(now) {
            Some(News::Suspended(freeze)) => {
                self.pass.give_up(|| format!("all reconciling is {freeze}"));
                self.log(StateLog::Suspended(freeze));
            }
            Some(News::Resumed) => self.log(StateLog::Resumed),
            None => {}
        }
    }

    /// Whether nothing is left for the controller to do.
    pub(super) fn has_ended(&mut self, now: Timestamp) -> bool {
        let is_reading = self.reading.as_ref().is_some_and(|reading| reading.is_under_way());
        let in_flight = self.inflight.len() + usize::from(is_reading);
        if let Some(deadline) = self.stop_by {
            let late = now >= deadline;
            if late && in_flight > 0 {
                self.log(StateLog::GraceOver { in_flight });
            }
            return in_flight == 0 || late;
        }
        let is_stuck = |blocked| match blocked {
            Blocked::GaveUp(_) => in_flight == 0,
            // Where the disk is full, intents wait for room; a single pass does not wait with them.
            Blocked::Ledger(..) => self.inflight.sent() == 0,
            _ => false,
        };
        let is_read = self.reading.as_ref().is_none_or(|reading| reading.is_over());
        let only_reads = self.settings.mode.only_reads();
        let nothing_left = in_flight == 0 && is_read && (only_reads || self.queue.depth() == 0);
        self.pass.is_single() && self.may_read() && (nothing_left || self.blocked(now).any(is_stuck))
    }
}
