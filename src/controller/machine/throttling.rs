//! Whom the service asks to wait: everybody, or one account alone.
//!
//! In: which account was asked to wait, by a throttle answer or by a `Retry-After`, and which was accepted. Out: whether
//! such an answer is about one account.
//! Invariants: everybody waits for the first such answer; one that an account gets again after others were accepted is
//! about that account alone, however many accounts that is true of, until it is accepted. The first time that is only
//! believed if the answer before accepted something, of whomever: the service may have begun to throttle meanwhile.
//! Absent by design: the pauses.

use std::collections::BTreeMap;

use crate::account::AccountId;

/// What is known of an account that was asked to wait, and was not accepted since.
#[derive(Debug, Default)]
struct Asked {
    /// Others were accepted since it was asked last.
    others_accepted: bool,
    /// How often it was asked again after others were accepted.
    again: u32,
    /// It was alone when it was asked last.
    alone: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    asked: BTreeMap<AccountId, Asked>,
    /// Who was asked last of all, with nothing accepted since.
    last: Option<AccountId>,
}

impl Throttling {
    /// A PUT of `account` was accepted, or refused for what it asks.
    pub(super) fn accepted(&mut self, account: AccountId) {
        self.asked.remove(&account);
        self.asked.values_mut().for_each(|asked| asked.others_accepted = true);
        self.last = None;
    }

    /// Nothing is asked for `account` any more.
    pub(super) fn forget(&mut self, account: AccountId) {
        self.asked.remove(&account);
    }

    /// A PUT of `account` was answered with a wait. Returns whether that is about this account alone.
    pub(super) fn is_alone(&mut self, account: AccountId) -> bool {
        let before = self.last.replace(account);
        let others_are = self.asked.iter().any(|(other, asked)| *other != account && asked.alone);
        let asked = self.asked.entry(account).or_default();
        asked.again += u32::from(std::mem::take(&mut asked.others_accepted));
        asked.alone = match (asked.again, before) {
            (2.., _) => true,
            // With nothing answered in between it says nothing else.
            (_, Some(before)) => before == account && asked.alone,
            (1, None) => true,
            // Where others are known to be asked alone, it may be one more of them.
            (_, None) => others_are,
        };
        asked.alone
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
        assert!(throttling.is_alone(account(1)));
        assert!(!throttling.is_alone(account(2)), "the service may have begun to throttle all");
        throttling.accepted(account(9));
        assert!(throttling.is_alone(account(2)) && throttling.is_alone(account(1)), "again and again");
        throttling.accepted(account(9));
        assert!(throttling.is_alone(account(3)), "one more, for others are known to be");
        assert!(!throttling.is_alone(account(4)), "the next request, which probes, is throttled as well");
    }
}
