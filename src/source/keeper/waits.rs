//! Git at work in the folder: what waits for it.
//!
//! In: the gate's verdict. Out: whether this turn may read, and when the next one may.
//! Invariant: nothing that lies in the folder while git is at work is told, and everything is looked at after.

use tokio::time::Instant;

use super::super::git::{LOCK_POLL, Operation, Verdict, warn_of_lock};
use super::super::problem::SourceError;
use super::Keeper;
use crate::source::Batch;

impl<T: Send> Keeper<T> {
    /// Whether git holds its lock, or has begun something.
    pub(super) fn git_is_at_work(&mut self, now: Instant) -> bool {
        match self.gate.ask(now) {
            Verdict::GoOn => return false,
            Verdict::GoOnAnyway => {
                warn_of_lock(&self.gate);
                return false;
            }
            // An operation that began just now is named at a later turn, if it lasts.
            Verdict::Wait | Verdict::Unfinished(_) => self.not_before = Some(now + LOCK_POLL),
        }
        true
    }

    /// Git has begun something and not finished: until it has, the folder says nothing.
    pub(super) fn wait_for(&mut self, operation: Operation, now: Instant) -> Option<Batch<T>> {
        self.doubt(&SourceError::Unfinished { operation }, now);
        self.not_before = Some(now + self.options.root_check);
        self.tell(now)
    }

    /// Whether git has worked since this was last asked. Then everything is looked at: the hints at what it changed may
    /// still be on their way, and a part of them is a mixture of two revisions.
    pub(super) fn git_has_worked(&mut self, now: Instant) -> bool {
        let worked = self.gate.has_worked();
        if worked {
            self.rescan = true;
            self.index.renew(now);
        }
        worked
    }
}
