//! Whom the service asks to wait: everybody, or one account alone.
//!
//! In: which account was asked to wait, by a throttle answer or by a `Retry-After`, and which was accepted. Out: whether
//! such an answer is about one account.
//! Invariants: everybody waits for the first such answer; one that an account gets again after others were accepted is
//! about that account alone, however many accounts that is true of, until it is accepted. Where some are known to be asked
//! alone, the first such answer after an accepted request is taken for another one's, and the next for everybody's: the
//! request in between is a probe. Absent by design: the pauses.

use std::collections::BTreeMap;

use crate::account::AccountId;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    /// The accounts that were asked to wait and were not accepted since; of each, whether others were.
    asked: BTreeMap<AccountId, bool>,
    /// The last answer of all accepted something.
    accepts: bool,
}

impl Throttling {
    /// A PUT of `account` was accepted, or refused for what it asks.
    pub(super) fn accepted(&mut self, account: AccountId) {
        self.asked.remove(&account);
        self.asked.values_mut().for_each(|others_accepted| *others_accepted = true);
        self.accepts = true;
    }

    /// A PUT of `account` was answered with a wait. Returns whether that is about this account alone.
    pub(super) fn is_alone(&mut self, account: AccountId) -> bool {
        let accepts = std::mem::take(&mut self.accepts);
        let others_are = self.asked.iter().any(|(other, others_accepted)| *other != account && *others_accepted);
        let alone = self.asked.entry(account).or_insert(false);
        *alone |= accepts && others_are;
        *alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    #[test]
    fn only_an_account_that_is_throttled_again_while_others_are_accepted_is_throttled_alone() {
        let mut throttling = Throttling::default();
        assert!(!throttling.is_alone(account(1)), "the first answer is for everybody");
        assert!(!throttling.is_alone(account(1)), "and so is the next, with none accepted in between");
        throttling.accepted(account(2));
        assert!(throttling.is_alone(account(1)));
        assert!(throttling.is_alone(account(1)), "with nothing to send in between it says nothing else");
        throttling.accepted(account(1));
        throttling.accepted(account(2));
        assert!(!throttling.is_alone(account(1)), "it was accepted itself");
    }

    #[test]
    fn several_accounts_that_are_always_throttled_are_told_apart_from_a_service_that_throttles() {
        let mut throttling = Throttling::default();
        assert!(!throttling.is_alone(account(1)));
        assert!(!throttling.is_alone(account(2)), "two in a row, and none accepted");
        throttling.accepted(account(9));
        assert!(throttling.is_alone(account(1)) && throttling.is_alone(account(2)));
        throttling.accepted(account(9));
        assert!(throttling.is_alone(account(3)), "one more, for others are known to be");
        assert!(!throttling.is_alone(account(4)), "the next request, which probes, is throttled as well");
        throttling.accepted(account(8));
        assert!(throttling.is_alone(account(4)));
    }
}
