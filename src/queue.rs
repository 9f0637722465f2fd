//! Which account next, and when.
//!
//! In: accounts that may have work, after an edit or a failure. Out: [`WorkQueue::pop`], one
//! account at a time, most urgent first.
//! Invariants: keys, never changes, so that stale work cannot exist; an account is queued once,
//! and never popped while it is in flight; revocations go before grants, and among equals fresh
//! edits before retries; every operation costs O(log n). Absent by design: the clock and chance,
//! which are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::account::AccountId;
use crate::timestamp::Timestamp;

/// What the account's next change does to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Takes something away: a revoked account must not wait behind a bulk change.
    Revocation,
    /// Gives something.
    Grant,
}

/// Fresh edits before retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attempt {
    Fresh,
    Retry,
}

type Class = (Urgency, Attempt);

/// How long to wait after failures: full jitter over an exponential bound.
///
/// Full jitter, because many accounts fail in the same moment and must not come back in one.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The bound after the first failure.
    pub min: Duration,
    /// The bound never exceeds this.
    pub max: Duration,
}

/// The defaults of `--retry-min` and `--retry-max`.
impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The wait after `failures` (1 or more) in a row. `chance` is uniform in `0.0..1.0`.
    pub fn delay(self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let bound = self.min.saturating_mul(1 << doublings).min(self.max);
        bound.mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready { sequence: u64 },
    Delayed { until: Timestamp },
    InFlight { again: Option<Urgency> },
}

#[derive(Clone, Copy, Debug)]
struct Item {
    class: Class,
    state: State,
    failures: u32,
    since: Timestamp,
}

/// An account taken from the queue, now in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped {
    /// Which one.
    pub account: AccountId,
    /// How long it was ready.
    pub waited: Duration,
}

/// Accounts that may have work. A key stands in it once, in one of three states: ready, delayed, in flight.
#[derive(Clone, Debug, Default)]
pub struct WorkQueue {
    items: BTreeMap<AccountId, Item>,
    ready: BTreeSet<(Class, u64, AccountId)>,
    delayed: BTreeSet<(Timestamp, AccountId)>,
    sequence: u64,
}

impl WorkQueue {
    /// Queues `account` after an edit: at once, whatever backoff it was in. In flight, it comes again after.
    pub fn add(&mut self, account: AccountId, urgency: Urgency, now: Timestamp) {
        match self.items.get_mut(&account) {
            Some(Item { state: State::InFlight { again }, failures, .. }) => {
                *again = Some(urgency);
                *failures = 0;
            }
            Some(Item { state: State::Ready { .. }, class, .. }) if *class == (urgency, Attempt::Fresh) => {}
            _ => self.make_ready(account, (urgency, Attempt::Fresh), 0, now),
        }
    }

    /// Takes the most urgent account that is ready at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Popped> {
        self.wake(now);
        let (_, _, account) = self.ready.pop_first()?;
        let item = self.items.get_mut(&account)?;
        item.state = State::InFlight { again: None };
        Some(Popped { account, waited: now.since(item.since) })
    }

    /// The account has nothing more to do; unless it was edited meanwhile.
    pub fn done(&mut self, account: AccountId, now: Timestamp) {
        if let Some(urgency) = self.land(account) {
            self.make_ready(account, (urgency, Attempt::Fresh), 0, now);
        }
    }

    /// The account has more to do, or could not be tried at all: ready again, with the failures it has.
    pub fn put_back(&mut self, account: AccountId, urgency: Urgency, now: Timestamp) {
        let failures = self.failures(account);
        let attempt = if failures == 0 { Attempt::Fresh } else { Attempt::Retry };
        self.land(account);
        self.make_ready(account, (urgency, attempt), failures, now);
    }

    /// The attempt succeeded: the next failure is the first again.
    pub fn succeeded(&mut self, account: AccountId) {
        if let Some(item) = self.items.get_mut(&account) {
            item.failures = 0;
        }
    }

    /// The attempt failed: back after a backoff, or at once if the account was edited meanwhile.
    pub fn retry(&mut self, account: AccountId, urgency: Urgency, backoff: Backoff, chance: f64, now: Timestamp) {
        let failures = self.failures(account).saturating_add(1);
        if let Some(urgency) = self.land(account) {
            return self.make_ready(account, (urgency, Attempt::Fresh), 0, now);
        }
        let until = now + backoff.delay(failures, chance);
        let class = (urgency, Attempt::Retry);
        self.items.insert(account, Item { class, state: State::Delayed { until }, failures, since: until });
        self.delayed.insert((until, account));
    }

    /// The account has nothing to do before `until`: it is ready again then, or after an edit.
    pub fn defer(&mut self, account: AccountId, until: Timestamp) {
        let Some(&Item { class, failures, state: State::Ready { .. }, .. }) = self.items.get(&account) else { return };
        self.land(account);
        self.items.insert(account, Item { class, state: State::Delayed { until }, failures, since: until });
        self.delayed.insert((until, account));
    }

    /// Forgets an account that is not in flight.
    pub fn remove(&mut self, account: AccountId) {
        if self.items.get(&account).is_some_and(|item| !matches!(item.state, State::InFlight { .. })) {
            self.land(account);
        }
    }

    /// How often the account failed in a row.
    pub fn failures(&self, account: AccountId) -> u32 {
        self.items.get(&account).map_or(0, |item| item.failures)
    }

    /// When the account's backoff ends, if it is in one.
    pub fn due(&self, account: AccountId) -> Option<Timestamp> {
        match self.items.get(&account)?.state {
            State::Delayed { until } => Some(until),
            State::Ready { .. } | State::InFlight { .. } => None,
        }
    }

    /// When the next backoff ends.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first().map(|(until, _)| *until)
    }

    /// The account that [`Self::pop`] would take.
    pub fn peek(&mut self, now: Timestamp) -> Option<AccountId> {
        self.wake(now);
        self.ready.first().map(|(_, _, account)| *account)
    }

    /// How many accounts are ready or delayed.
    pub fn depth(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// How many accounts wait for their backoff.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((until, account)) = self.delayed.first().copied().filter(|(until, _)| *until <= now) {
            let Some(&Item { class, failures, .. }) = self.items.get(&account) else { break };
            self.make_ready(account, class, failures, until);
        }
    }

    fn make_ready(&mut self, account: AccountId, class: Class, failures: u32, since: Timestamp) {
        self.land(account);
        self.sequence += 1;
        let state = State::Ready { sequence: self.sequence };
        self.items.insert(account, Item { class, state, failures, since });
        self.ready.insert((class, self.sequence, account));
    }

    /// Takes the key out of whatever state it is in; says whether it was edited in flight.
    fn land(&mut self, account: AccountId) -> Option<Urgency> {
        let item = self.items.remove(&account)?;
        match item.state {
            State::Ready { sequence } => {
                self.ready.remove(&(item.class, sequence, account));
                None
            }
            State::Delayed { until } => {
                self.delayed.remove(&(until, account));
                None
            }
            State::InFlight { again } => again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Urgency::{Grant, Revocation};

    fn id(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn order(queue: &mut WorkQueue, now: Timestamp) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(now).map(|popped| popped.account.get())).collect()
    }

    #[test]
    fn revocations_go_before_grants_and_fresh_edits_before_retries() {
        let mut queue = WorkQueue::default();
        for (n, urgency) in [(1, Grant), (2, Revocation)] {
            queue.add(id(n), urgency, at(0));
            queue.pop(at(0)).unwrap();
            queue.retry(id(n), urgency, Backoff::default(), 1.0, at(0));
        }
        queue.add(id(3), Grant, at(5));
        queue.add(id(4), Revocation, at(6));
        queue.add(id(5), Grant, at(4));
        assert_eq!(order(&mut queue, at(7)), [4, 2, 3, 5, 1]);
    }

    #[test]
    fn an_account_in_flight_is_never_popped_and_comes_again_after_an_edit() {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, at(0));
        queue.add(id(1), Grant, at(0));
        assert_eq!(order(&mut queue, at(0)), [1]);
        queue.add(id(1), Revocation, at(1));
        assert_eq!(queue.pop(at(1)), None);
        queue.done(id(1), at(2));
        assert_eq!(queue.pop(at(3)), Some(Popped { account: id(1), waited: Duration::from_secs(1) }));
        queue.done(id(1), at(3));
        assert_eq!((queue.depth(), queue.next_due()), (0, None));
    }

    #[test]
    fn a_fresh_edit_ends_a_backoff_and_forgets_its_failures() {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, at(0));
        queue.pop(at(0)).unwrap();
        queue.retry(id(1), Grant, Backoff::default(), 1.0, at(0));
        assert_eq!(queue.next_due(), Some(at(1)));
        assert_eq!(queue.peek(at(0)), None);
        queue.add(id(1), Grant, at(0));
        assert_eq!(order(&mut queue, at(0)), [1]);
        assert_eq!(queue.failures(id(1)), 0);
    }

    #[test]
    fn a_deferred_account_is_ready_again_then_or_after_an_edit() {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, at(0));
        queue.defer(id(1), at(60));
        assert_eq!((queue.peek(at(59)), queue.next_due(), queue.depth()), (None, Some(at(60)), 1));
        assert_eq!(queue.peek(at(60)), Some(id(1)));
        queue.defer(id(1), at(120));
        queue.add(id(1), Revocation, at(61));
        assert_eq!(order(&mut queue, at(61)), [1]);
    }

    #[test]
    fn an_edit_during_a_failing_attempt_is_tried_at_once() {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, at(0));
        queue.pop(at(0)).unwrap();
        queue.add(id(1), Revocation, at(1));
        queue.retry(id(1), Grant, Backoff::default(), 1.0, at(2));
        assert_eq!(order(&mut queue, at(2)), [1]);
    }

    #[test]
    fn the_backoff_doubles_up_to_its_bound_and_is_spread_over_all_of_it() {
        let bounds: Vec<_> = [1, 2, 3, 9, 10, 40].map(|n| Backoff::default().delay(n, 1.0).as_secs()).into();
        assert_eq!(bounds, [1, 2, 4, 256, 300, 300]);
        assert_eq!(Backoff::default().delay(3, 0.25), Duration::from_secs(1));
        assert_eq!(Backoff::default().delay(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn failures_are_counted_until_a_success() {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, at(0));
        for failures in 1..=3 {
            queue.pop(at(1000 * u64::from(failures))).unwrap();
            queue.retry(id(1), Grant, Backoff::default(), 0.5, at(1000 * u64::from(failures)));
            assert_eq!(queue.failures(id(1)), failures);
        }
        queue.pop(at(9000)).unwrap();
        queue.succeeded(id(1));
        queue.put_back(id(1), Grant, at(9000));
        assert_eq!(queue.failures(id(1)), 0);
        assert_eq!(queue.depth(), 1);
        queue.remove(id(1));
        assert_eq!(queue.depth(), 0);
    }
}
