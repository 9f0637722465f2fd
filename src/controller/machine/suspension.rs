//! The suspension of everything by an operator.
//!
//! In: the suspension as it was last read. Out: whether it is in force, and when it ends by itself.
//! Invariant: what is over is not in force, whoever has noticed. Absent by design: the file it comes from.

use crate::freeze::Freeze;
use crate::timestamp::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    /// It may be over.
    last: Option<Freeze>,
}

impl Suspension {
    /// It was set, or lifted. A file whose time is over may lie there for ever. Returns whether this ended one.
    pub(super) fn set(&mut self, freeze: Option<Freeze>, now: Timestamp) -> bool {
        let before = self.last.take();
        self.last = freeze.filter(|freeze| !freeze.is_over(now));
        before.is_some() && self.last.is_none()
    }

    /// The suspension in force at `now`.
    pub(super) fn in_force(&self, now: Timestamp) -> Option<&Freeze> {
        self.last.as_ref().filter(|freeze| !freeze.is_over(now))
    }

    /// Whether the last one is over at `now`, and that was not told yet.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.last.as_ref().is_some_and(|freeze| freeze.is_over(now))
    }

    /// When it ends by itself.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.last.as_ref().and_then(|freeze| freeze.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_ends_by_itself_and_its_end_is_told_once() {
        let at = Timestamp::from_millis;
        let freeze = |until| Some(Freeze { until: Some(at(until)), ..Freeze::default() });
        let mut suspension = Suspension::default();
        assert!(!suspension.set(freeze(5), at(9)), "one that was over when it was read");
        assert_eq!((suspension.in_force(at(9)), suspension.is_over(at(9))), (None, false));
        assert!(!suspension.set(freeze(20), at(9)));
        assert_eq!((suspension.in_force(at(19)), suspension.until()), (freeze(20).as_ref(), Some(at(20))));
        assert!(suspension.in_force(at(20)).is_none() && suspension.is_over(at(20)));
        assert!(suspension.set(None, at(20)));
        assert!(!suspension.is_over(at(20)) && !suspension.set(None, at(20)));
    }
}
