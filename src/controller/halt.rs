//! What brings the conductor to a halt: an order to stop, a freeze, the end of a single pass.
//!
//! In: a signal, the switch, the report. Out: whether requests may start, and whether the conductor has ended.
//! Invariants: what is in flight is finished, or left in doubt when the grace is over; nothing leaves during a freeze,
//! also not what was intended before it.

use tracing::{info, warn};

use super::{Controller, Journal, Mode};
use crate::condition::Reason;
use crate::freeze::Freeze;
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

impl<T: Transport, J: Journal> Controller<T, J> {
    pub(super) fn stop(&mut self) {
        if self.stop_by.is_none() {
            let now = self.clock.now();
            let grace = humantime::format_duration(self.settings.shutdown_grace);
            info!(in_flight = self.flights.len(), %grace, "stopping: finishing what is in flight");
            self.stop_by = Some(now + self.settings.shutdown_grace);
        }
    }

    /// The switch was set, or lifted.
    pub(super) fn switched(&mut self, freeze: Option<Freeze>) {
        // A file whose time is over may lie there for ever.
        let freeze = freeze.filter(|freeze| !freeze.is_over(self.clock.now()));
        match &freeze {
            Some(freeze) => {
                let runbook = self.runbook(Reason::Suspended.as_str());
                warn!(%freeze, runbook, "all reconciling is suspended; nothing is sent until it is resumed");
                self.give_up_if_one_pass(&format!("all reconciling is {freeze}"));
            }
            None if self.frozen.is_some() => info!("resumed: what is pending is sent"),
            None => {}
        }
        self.frozen = freeze;
    }

    /// The freeze in force at `now`.
    pub(super) fn freeze(&self, now: Timestamp) -> Option<&Freeze> {
        self.frozen.as_ref().filter(|freeze| !freeze.is_over(now))
    }

    pub(super) fn has_ended(&self) -> bool {
        let idle = self.flights.is_empty();
        if let Some(deadline) = self.stop_by {
            let late = self.clock.now() >= deadline;
            if late && !idle {
                warn!(in_flight = self.flights.len(), "the grace period is over; what was sent stays in doubt");
            }
            return idle || late;
        }
        let report = self.report.borrow();
        // Where the disk is full, intents wait for room; a single pass does not wait with them.
        let none_left = self.flights.values().all(|flight| flight.token.is_none());
        let stuck = report.gave_up.is_some() && idle || report.ledger_error.is_some() && none_left;
        self.settings.mode == Mode::Apply && report.loaded && (stuck || idle && self.queue.depth() == 0)
    }

    /// The daemon waits; a single pass ends, with everything that is left counted as failed.
    pub(super) fn give_up_if_one_pass(&mut self, why: &str) {
        if self.settings.mode == Mode::Apply {
            self.report.send_modify(|report| report.gave_up = Some(why.to_owned()));
        }
    }
}
