//! What is to come in one life of the process, by the moment at which it comes.
//!
//! In: things that are put down for a moment. Out: the next one.
//! Invariant: what comes at one moment comes in the order in which it was put down, so a seed decides everything.

use std::collections::BTreeMap;

use zoho_mail_reconciler::timestamp::Timestamp;

use super::service::{Ending, Journey};

/// Something that comes.
pub enum Due {
    /// Somebody outside acts, or looks.
    Outside(Act),
    /// A request comes to the service, unless it got lost.
    Arrival(Journey),
    /// Its sender has an answer, or gives up.
    Return(Journey, Ending),
    /// The writer of the journal goes on.
    Journal(Step),
    /// The process looks at its clock.
    Heartbeat,
    /// The wall clock runs evenly again.
    EvenClock,
}

/// What somebody does to a running process.
#[derive(Clone, Copy)]
pub enum Act {
    /// One more thing, drawn by chance.
    Next,
    /// That thing.
    Do(u8),
    /// Looks whether there is nothing left to do.
    Check,
    /// Looks whether every account is applied that can be.
    CheckBeside,
    /// Has everything read again, and stops the process soon after.
    ResyncAndStop,
    /// Stops it.
    Stop,
    /// It should have ended by now.
    Overdue,
    /// Ends it.
    Kill,
}

/// How the writer of the journal goes on.
#[derive(Clone, Copy)]
pub enum Step {
    /// A group is written, and may be synced.
    Written,
    /// There was no room; it tries again.
    Again,
    /// The new snapshot is synced: the journal can be emptied.
    Folded,
    /// It says the same again and again.
    Chatter,
}

/// See the module.
#[derive(Default)]
pub struct Agenda {
    due: BTreeMap<(Timestamp, u64), Due>,
    count: u64,
}

impl Agenda {
    /// It comes then.
    pub fn add(&mut self, at: Timestamp, due: Due) {
        self.count += 1;
        self.due.insert((at, self.count), due);
    }

    /// When the next thing comes.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// All that comes `now`; not what follows of it at the same moment.
    pub fn take(&mut self, now: Timestamp) -> Vec<Due> {
        let later = self.due.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.due, later).into_values().collect()
    }
}
