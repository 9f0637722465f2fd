//! Orders from outside, and the end: a signal, a suspension, the end of a single pass.
//!
//! In: orders. Out: what blocks requests from now on, and whether the controller has ended.
//! Invariants: what is in flight is finished, or left in doubt when the grace is over; nothing leaves during a
//! suspension, also not what was intended before it.

use super::suspension::News;
use super::{Blocked, Machine};
use crate::controller::event::StateLog;
use crate::freeze::Freeze;
use crate::timestamp::Timestamp;

impl Machine {
    pub(super) fn stop(&mut self, now: Timestamp) {
        if self.stop_by.is_none() {
            let grace = self.settings.shutdown_grace;
            self.log(StateLog::Stopping { in_flight: self.inflight.len(), grace });
            self.stop_by = Some(now + grace);
        }
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
        let in_flight = self.inflight.len();
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
            Blocked::Ledger(_) => self.inflight.sent() == 0,
            _ => false,
        };
        let nothing_left = in_flight == 0 && self.queue.depth() == 0;
        self.pass.is_single() && self.folder.is_loaded() && (nothing_left || self.blocked(now).any(is_stuck))
    }
}
