//! Which account next, and when.
//!
//! In: accounts that may have work, after an edit or a failure. Out: one account at a time, most urgent
//! first ([`WorkQueue::peek_probe`], [`WorkQueue::take`]).
//!
//! The order: fresh revocations, fresh grants, then retries of either. Within a class of fresh edits each account counts as
//! [`SLOT`] of waiting for every account it was edited together with: a small edit overtakes a bulk, and a bulk that has
//! waited long enough is overtaken no more. Retries go in the order in which their backoffs end, so an account that fails
//! again goes behind all others that failed. While fresh edits wait, one in [`RETRY_SHARE`] is a retry. A probe of a service
//! in trouble goes to any other account before the one that met the trouble.
//!
//! Invariants: keys, never changes, so that stale work cannot exist; an account is queued once, and never popped while it
//! is in flight; whatever fails, however often, every account that is ready is popped after a bounded number of others;
//! every operation costs O(log n). Absent by design: the clock and chance, which are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::account::AccountId;
use crate::timestamp::{ClockStep, Timestamp};

/// What the account's next change does to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Takes something away: a revoked account must not wait behind a bulk change.
    Revocation,
    /// Gives something.
    Grant,
}

/// How much later an account of a fresh edit counts as queued, for each account of the same edit: what one request takes of
/// the default budget of 25 a minute.
const SLOT: Duration = Duration::from_millis(2_400);

/// Of so many accounts that are popped while both fresh edits and retries are ready, one is a retry.
pub const RETRY_SHARE: u32 = 20;

/// In which order accounts that are ready are popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// After an edit; among equals the one that counts as queued earlier.
    Fresh(Urgency, Timestamp),
    /// After a failure.
    Retry,
}

impl Class {
    fn fresh(urgency: Urgency, edited: usize, now: Timestamp) -> Self {
        Self::Fresh(urgency, now + SLOT.saturating_mul(u32::try_from(edited).unwrap_or(u32::MAX)))
    }

    fn carried(self, step: ClockStep) -> Self {
        match self {
            Self::Fresh(urgency, queued) => Self::Fresh(urgency, step.carry(queued)),
            Self::Retry => Self::Retry,
        }
    }
}

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
    InFlight { again: Option<Class> },
}

#[derive(Clone, Copy, Debug)]
struct Item {
    class: Class,
    state: State,
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
    fresh: BTreeSet<(Class, u64, AccountId)>,
    retries: BTreeSet<(u64, AccountId)>,
    delayed: BTreeSet<(Timestamp, AccountId)>,
    sequence: u64,
    /// How many fresh edits were popped since the last retry.
    since_retry: u32,
}

/// With which account a service in trouble is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// In the order of [`WorkQueue::peek`].
    Next,
    /// One to which something is granted, for removals may be what fails.
    Grant,
    /// The last of the fresh ones, for those that were declared together may fail together.
    Last,
}

impl WorkQueue {
    /// Queues `account` after an edit of `edited` accounts at once: whatever backoff it was in, it is ready. In flight, it
    /// comes again after.
    pub fn add(&mut self, account: AccountId, urgency: Urgency, edited: usize, now: Timestamp) {
        let class = Class::fresh(urgency, edited, now);
        match self.items.get_mut(&account) {
            Some(Item { state: State::InFlight { again }, .. }) => *again = Some(class),
            // It keeps its turn, unless the new edit gives it an earlier one.
            Some(&mut Item { state: State::Ready { .. }, class: Class::Fresh(same, queued), .. })
                if same == urgency && Class::Fresh(same, queued) <= class => {}
            _ => self.make_ready(account, class, now),
        }
    }

    /// Queues `account` as one that failed before, and is to be tried now. Nothing changes for one that is ready, or in
    /// flight.
    pub fn add_retry(&mut self, account: AccountId, now: Timestamp) {
        if self.items.get(&account).is_none_or(|item| matches!(item.state, State::Delayed { .. })) {
            self.make_ready(account, Class::Retry, now);
        }
    }

    /// Queues `account` as one that failed before, and is to be tried at `until`, however urgent it was. Nothing changes
    /// for one that is in flight.
    pub fn delay(&mut self, account: AccountId, until: Timestamp) {
        if self.items.get(&account).is_none_or(|item| !matches!(item.state, State::InFlight { .. })) {
            self.land(account);
            self.make_delayed(account, Class::Retry, until);
        }
    }

    /// Takes the most urgent account that is ready at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Popped> {
        let account = self.peek(now)?;
        self.take(account, now)
    }

    /// Takes an account that is ready.
    pub fn take(&mut self, account: AccountId, now: Timestamp) -> Option<Popped> {
        let item = *self.items.get(&account).filter(|item| matches!(item.state, State::Ready { .. }))?;
        self.land(account);
        self.since_retry = if item.class == Class::Retry { 0 } else { self.since_retry.saturating_add(1) };
        self.items.insert(account, Item { state: State::InFlight { again: None }, ..item });
        Some(Popped { account, waited: now.since(item.since) })
    }

    /// The account has nothing more to do; unless it was edited meanwhile.
    pub fn done(&mut self, account: AccountId, now: Timestamp) {
        if let Some(class) = self.land(account) {
            self.make_ready(account, class, now);
        }
    }

    /// The account has more to do, or could not be tried at all: ready again, as one that `failed` before or as a fresh one.
    /// What is fresh keeps the time at which it counts as queued.
    pub fn put_back(&mut self, account: AccountId, urgency: Urgency, failed: bool, now: Timestamp) {
        let class = match self.items.get(&account) {
            _ if failed => Class::Retry,
            Some(Item { state: State::InFlight { again: Some(Class::Fresh(_, queued)) }, .. })
            | Some(Item { class: Class::Fresh(_, queued), .. }) => Class::Fresh(urgency, *queued),
            _ => Class::fresh(urgency, 1, now),
        };
        self.land(account);
        self.make_ready(account, class, now);
    }

    /// The attempt failed: back at `until`, or at once if the account was edited meanwhile.
    pub fn retry(&mut self, account: AccountId, until: Timestamp, now: Timestamp) {
        match self.land(account) {
            Some(class) => self.make_ready(account, class, now),
            None => self.make_delayed(account, Class::Retry, until),
        }
    }

    /// The account has nothing to do before `until`: it is ready again then, or after an edit.
    pub fn defer(&mut self, account: AccountId, until: Timestamp) {
        let Some(&Item { class, state: State::Ready { .. }, .. }) = self.items.get(&account) else { return };
        self.land(account);
        self.make_delayed(account, class, until);
    }

    /// Forgets an account that is not in flight.
    pub fn remove(&mut self, account: AccountId) {
        if self.items.get(&account).is_some_and(|item| !matches!(item.state, State::InFlight { .. })) {
            self.land(account);
        }
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
        let (fresh, retry) = (self.fresh.first(), self.retries.first());
        let is_due = fresh.is_none() || self.is_retry_due();
        let retry = retry.filter(|_| is_due).map(|(_, account)| *account);
        retry.or_else(|| fresh.map(|(_, _, account)| *account))
    }

    /// The account to probe a service in trouble with: any that is ready before the one that `met` this trouble last,
    /// whatever their classes.
    pub fn peek_probe(&mut self, probe: Probe, met: Option<AccountId>, now: Timestamp) -> Option<AccountId> {
        self.wake(now);
        let first_grant = (Class::Fresh(Urgency::Grant, Timestamp::from_millis(0)), 0, AccountId::new(1)?);
        let is_other = |account: &AccountId| Some(*account) != met;
        // All but one account are others, so the first or the second of each is found.
        let grants = || self.fresh.range(first_grant..).map(|(.., account)| *account);
        let mut fresh = self.fresh.iter().map(|(.., account)| *account);
        let (wanted, fresh) = match probe {
            Probe::Next => (None, fresh.find(is_other)),
            Probe::Grant => (grants().find(is_other), fresh.find(is_other)),
            Probe::Last => (None, fresh.rfind(is_other)),
        };
        let retry = self.retries.iter().map(|(_, account)| *account).find(is_other);
        let due = retry.filter(|_| fresh.is_none() || self.is_retry_due());
        wanted.or(due).or(fresh).or_else(|| self.peek(now))
    }

    /// Whether the next one is a retry though fresh edits wait.
    const fn is_retry_due(&self) -> bool {
        self.since_retry >= RETRY_SHARE - 1
    }

    /// Whether any other account than this one is ready.
    pub fn has_ready_beside(&self, account: AccountId) -> bool {
        let mine = matches!(self.items.get(&account), Some(Item { state: State::Ready { .. }, .. }));
        self.fresh.len() + self.retries.len() > usize::from(mine)
    }

    /// The wall clock was set: backoffs and turns are as far away as before.
    pub fn carry(&mut self, step: ClockStep) {
        for item in self.items.values_mut() {
            (item.class, item.since) = (item.class.carried(step), step.carry(item.since));
            match &mut item.state {
                State::Ready { .. } => {}
                State::Delayed { until } => *until = step.carry(*until),
                State::InFlight { again } => *again = again.map(|class| class.carried(step)),
            }
        }
        let fresh = std::mem::take(&mut self.fresh).into_iter();
        self.fresh = fresh.map(|(class, sequence, account)| (class.carried(step), sequence, account)).collect();
        let delayed = std::mem::take(&mut self.delayed).into_iter();
        self.delayed = delayed.map(|(until, account)| (step.carry(until), account)).collect();
    }

    /// How many accounts are ready or delayed.
    pub fn depth(&self) -> usize {
        self.fresh.len() + self.retries.len() + self.delayed.len()
    }

    /// How many accounts wait for their backoff.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((until, account)) = self.delayed.first().copied().filter(|(until, _)| *until <= now) {
            let Some(&Item { class, .. }) = self.items.get(&account) else { break };
            self.make_ready(account, class, until);
        }
    }

    fn make_delayed(&mut self, account: AccountId, class: Class, until: Timestamp) {
        self.items.insert(account, Item { class, state: State::Delayed { until }, since: until });
        self.delayed.insert((until, account));
    }

    fn make_ready(&mut self, account: AccountId, class: Class, since: Timestamp) {
        self.land(account);
        self.sequence += 1;
        let state = State::Ready { sequence: self.sequence };
        self.items.insert(account, Item { class, state, since });
        match class {
            Class::Fresh(..) => self.fresh.insert((class, self.sequence, account)),
            Class::Retry => self.retries.insert((self.sequence, account)),
        };
    }

    /// Takes the key out of whatever state it is in; says whether it was edited in flight.
    fn land(&mut self, account: AccountId) -> Option<Class> {
        let item = self.items.remove(&account)?;
        match item.state {
            State::Ready { sequence } => {
                self.fresh.remove(&(item.class, sequence, account));
                self.retries.remove(&(sequence, account));
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
mod tests;
