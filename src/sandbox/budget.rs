//! The request budget of the service, and the lock that follows one request too many.
//!
//! In: a request's moment. Out: admitted, or how long the lock still lasts. Invariants: any window
//! admits at most the budget (it slides; nothing is refilled at once); a refused request does not
//! prolong the lock; what is remembered is bounded by the budget.

use std::collections::VecDeque;
use std::time::Duration;

use super::message::{Refusal, Reply};
use super::settings::{Budget, LockForm};
use crate::timestamp::Timestamp;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// It was the one too many: the lock begins.
    OverBudget { left: Duration },
    /// The lock was on: the caller did not wait.
    WhileLocked { left: Duration },
}

/// The budget at work.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    budget: Budget,
    admitted: VecDeque<Timestamp>,
    locked_until: Option<Timestamp>,
}

impl Meter {
    pub(super) const fn new(budget: Budget) -> Self {
        Self { budget, admitted: VecDeque::new(), locked_until: None }
    }

    pub(super) const fn budget(&self) -> Budget {
        self.budget
    }

    /// When the lock ends, if it is on at `now`.
    pub(super) fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| now < *until)
    }

    /// Counts one request.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<(), Excess> {
        if let Some(until) = self.locked_until(now) {
            return Err(Excess::WhileLocked { left: until.since(now) });
        }
        while self.admitted.front().is_some_and(|first| now.since(*first) >= self.budget.window) {
            self.admitted.pop_front();
        }
        if self.admitted.len() >= self.budget.requests as usize {
            self.locked_until = Some(now + self.budget.lock);
            return Err(Excess::OverBudget { left: self.budget.lock });
        }
        self.admitted.push_back(now);
        Ok(())
    }

    /// The refusal, in the configured form.
    pub(super) fn refusal(&self, excess: Excess) -> Reply {
        let (Excess::OverBudget { left } | Excess::WhileLocked { left }) = excess;
        // Rounded up: a caller who waits as long as told is never early.
        let seconds = left.as_millis().div_ceil(1000);
        match self.budget.form {
            LockForm::Text => {
                let text = format!("Try again after {} minutes", seconds.div_ceil(60));
                Refusal::input("URL_ROLLING_THROTTLES_LIMIT_EXCEEDED", text).into()
            }
            LockForm::RetryAfter => {
                let refusal = Refusal::new(429, "TOO_MANY_REQUESTS", "too many requests");
                Reply::from(refusal).header("Retry-After", seconds.to_string())
            }
            LockForm::Bare => Reply::new(429, Vec::new(), "TOO_MANY_REQUESTS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_window_slides_and_is_never_refilled_at_once() {
        let mut meter =
            Meter::new(Budget { requests: 2, window: 60 * SECOND, lock: 90 * SECOND, form: LockForm::Text });
        assert_eq!(meter.admit(at(0)), Ok(()));
        assert_eq!(meter.admit(at(59)), Ok(()));
        assert_eq!(meter.admit(at(60)), Ok(()), "the first has left the window");
        assert_eq!(meter.admit(at(61)), Err(Excess::OverBudget { left: 90 * SECOND }));
        assert_eq!(meter.admit(at(150)), Err(Excess::WhileLocked { left: SECOND }));
        assert_eq!(meter.locked_until(at(150)), Some(at(151)));
        assert_eq!(meter.admit(at(151)), Ok(()), "refusals did not prolong the lock");
    }

    #[test]
    fn a_refusal_says_how_long_in_the_form_that_was_chosen() {
        let reply = |form| {
            let meter = Meter::new(Budget { form, ..Budget::default() });
            let reply = meter.refusal(Excess::WhileLocked { left: Duration::from_millis(60_001) });
            let retry_after = reply.headers.iter().find(|(name, _)| name == "Retry-After").map(|(_, value)| value);
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            format!("{} {retry_after:?} {}", reply.status, body["data"])
        };
        insta::assert_snapshot!([LockForm::Text, LockForm::RetryAfter, LockForm::Bare].map(reply).join("\n"), @r#"
        400 None {"errorCode":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED","moreInfo":"Try again after 2 minutes"}
        429 Some("61") {"errorCode":"TOO_MANY_REQUESTS","moreInfo":"too many requests"}
        429 None null
        "#);
    }

    proptest::proptest! {
        #[test]
        fn no_window_ever_admits_more_than_the_budget(
            gaps in proptest::collection::vec(0_u64..2000, 1..200),
            requests in 0_u32..5,
            lock in 0_u64..3000,
        ) {
            let budget = Budget { requests, window: SECOND, lock: Duration::from_millis(lock), form: LockForm::Text };
            let mut meter = Meter::new(budget);
            let mut moment = Timestamp::from_millis(0);
            let mut admitted = Vec::new();
            for gap in gaps {
                moment = moment + Duration::from_millis(gap);
                if meter.admit(moment).is_ok() {
                    admitted.push(moment);
                }
                let in_window = admitted.iter().filter(|earlier| moment.since(**earlier) < SECOND).count();
                proptest::prop_assert!(in_window <= requests as usize);
            }
        }
    }
}
