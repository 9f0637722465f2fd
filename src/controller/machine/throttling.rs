//! Whom the service asks to wait: everybody, or one account alone.
//!
//! In: which account was asked to wait, by a throttle answer or by a `Retry-After`, and which was accepted. Out: whether
//! such an answer is about one account.
//! Invariant: everybody waits for the first such answer; only one that the same account gets again, while others are
//! accepted, delays that account alone, until another one is asked to wait or this one is accepted. Absent by design: the pauses.

use crate::account::AccountId;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    /// The account that was asked to wait last.
    last: Option<AccountId>,
    /// Another one was accepted since that account was asked first.
    others_accepted: bool,
}

impl Throttling {
    /// A PUT of `account` was accepted, or refused for what it asks.
    pub(super) fn accepted(&mut self, account: AccountId) {
        if self.last == Some(account) {
            self.last = None;
        }
        self.others_accepted = true;
    }

    /// A PUT of `account` was answered with a wait. Returns whether that is about this account alone.
    pub(super) fn is_alone(&mut self, account: AccountId) -> bool {
        if self.last != Some(account) {
            (self.last, self.others_accepted) = (Some(account), false);
        }
        self.others_accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_that_is_throttled_again_while_others_are_accepted_is_throttled_alone() {
        let account = |n| AccountId::new(n).unwrap();
        let mut throttling = Throttling::default();
        assert!(!throttling.is_alone(account(1)), "the first answer is for everybody");
        assert!(!throttling.is_alone(account(1)), "and so is the next, with none accepted in between");
        throttling.accepted(account(2));
        assert!(throttling.is_alone(account(1)));
        assert!(throttling.is_alone(account(1)), "with nothing to send in between it says nothing else");
        throttling.accepted(account(2));
        assert!(!throttling.is_alone(account(2)), "another account is throttled");
        throttling.accepted(account(3));
        throttling.accepted(account(2));
        assert!(!throttling.is_alone(account(2)), "it was accepted itself");
    }
}
