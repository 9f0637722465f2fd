//! The suspension of everything by an operator.
//!
//! In: the suspension as it was last read. Out: whether it is in force, and what of that is news.
//! Invariants: it is in force by the clock of now, as the operator wrote it: one that is over is not, noticed or not, and
//! one that was over by a clock that ran ahead is in force again; each change is reported once.
//! Absent by design: the file it comes from.

use crate::freeze::Freeze;
use crate::timestamp::Timestamp;

/// What changed.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// It is in force, and was not, or was another one.
    Suspended(Freeze),
    /// It is in force no more.
    Resumed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    /// It may be over: a file whose time is over may lie there for ever.
    last: Option<Freeze>,
    /// The one that was reported to be in force.
    reported: Option<Freeze>,
}

impl Suspension {
    /// It was set, or lifted.
    pub(super) fn set(&mut self, freeze: Option<Freeze>) {
        self.last = freeze;
    }

    /// The suspension in force at `now`.
    pub(super) fn in_force(&self, now: Timestamp) -> Option<&Freeze> {
        self.last.as_ref().filter(|freeze| !freeze.is_over(now))
    }

    /// What changed by `now`, and was not reported yet.
    pub(super) fn news(&mut self, now: Timestamp) -> Option<News> {
        if self.in_force(now) == self.reported.as_ref() {
            return None;
        }
        self.reported = self.in_force(now).cloned();
        Some(self.reported.clone().map_or(News::Resumed, News::Suspended))
    }

    /// When the one that was reported to be in force ends by itself.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.reported.as_ref().and_then(|freeze| freeze.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn freeze(until: u64) -> Freeze {
        Freeze { until: Some(at(until)), ..Freeze::default() }
    }

    #[test]
    fn a_suspension_ends_by_itself_and_its_end_is_reported_once() {
        let mut suspension = Suspension::default();
        suspension.set(Some(freeze(5)));
        assert_eq!(suspension.in_force(at(9)), None, "over when it was read");
        assert_eq!(suspension.news(at(9)), None);
        suspension.set(Some(freeze(20)));
        assert_eq!(suspension.news(at(9)), Some(News::Suspended(freeze(20))));
        assert_eq!((suspension.in_force(at(19)), suspension.until()), (Some(&freeze(20)), Some(at(20))));
        assert_eq!(suspension.news(at(19)), None);
        assert_eq!(suspension.in_force(at(20)), None);
        assert_eq!(suspension.news(at(20)), Some(News::Resumed));
        suspension.set(None);
        assert_eq!((suspension.until(), suspension.news(at(20))), (None, None));
    }

    #[test]
    fn a_suspension_that_was_over_by_a_clock_that_ran_ahead_is_in_force_again() {
        let mut suspension = Suspension::default();
        suspension.set(Some(freeze(20)));
        let news: Vec<_> = [9, 900, 900, 10, 20].into_iter().filter_map(|now| suspension.news(at(now))).collect();
        let suspended = || News::Suspended(freeze(20));
        assert_eq!(news, [suspended(), News::Resumed, suspended(), News::Resumed]);
    }
}
