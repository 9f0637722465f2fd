//! The work queue against a list. In: any sequence of what the controller does with it. Out: the same account the list
//! gives, so none is lost, none is in flight twice, none wakes early, and the order is the promised one.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::queue::{Urgency, WorkQueue};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{config, id, ms};

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Urgency, usize),
    AddRetry(u64),
    Pop,
    Peek,
    Done(usize),
    PutBack(usize, Urgency, bool),
    Retry(usize, u64),
    Delay(u64, u64),
    Defer(u64, u64),
    Remove(u64),
    Pass(u64),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let account = || 1..6_u64;
    let flight = || 0..5_usize;
    let urgency = || prop::sample::select(vec![Urgency::Revocation, Urgency::Grant]);
    let step = prop_oneof![
        8 => (account(), urgency(), 1..4_usize).prop_map(|(account, urgency, edited)| Step::Add(account, urgency, edited)),
        1 => account().prop_map(Step::AddRetry),
        8 => Just(Step::Pop),
        1 => Just(Step::Peek),
        2 => flight().prop_map(Step::Done),
        2 => (flight(), urgency(), any::<bool>()).prop_map(|(flight, urgency, failed)| Step::PutBack(flight, urgency, failed)),
        4 => (flight(), 0..9_000_u64).prop_map(|(flight, wait)| Step::Retry(flight, wait)),
        1 => (account(), 0..9_000_u64).prop_map(|(account, wait)| Step::Delay(account, wait)),
        1 => (account(), 0..9_000_u64).prop_map(|(account, wait)| Step::Defer(account, wait)),
        1 => account().prop_map(Step::Remove),
        6 => (0..9_000_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..80)
}

/// When an account of an edit of so many counts as queued.
fn queued(edited: usize, now: Timestamp) -> Timestamp {
    now + Duration::from_millis(2_400 * edited as u64)
}

/// Fresh, with when it counts as queued, or a retry.
type Fresh = Option<(Urgency, Timestamp)>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waiting {
        until: Timestamp,
    },
    /// Counts up in the order in which accounts became ready.
    Ready {
        turn: usize,
    },
    InFlight {
        again: Fresh,
    },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    fresh: Fresh,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<AccountId, Entry>,
    turn: usize,
    since_retry: u32,
}

impl Model {
    fn ready(&mut self, account: AccountId, fresh: Fresh) {
        self.turn += 1;
        let place = Place::Ready { turn: self.turn };
        self.entries.insert(account, Entry { place, fresh });
    }

    fn wait(&mut self, account: AccountId, fresh: Fresh, until: Timestamp) {
        self.entries.insert(account, Entry { place: Place::Waiting { until }, fresh });
    }

    fn add(&mut self, account: AccountId, urgency: Urgency, edited: usize, now: Timestamp) {
        let fresh = Some((urgency, queued(edited, now)));
        match self.entries.get_mut(&account) {
            Some(entry) if matches!(entry.place, Place::InFlight { .. }) => {
                entry.place = Place::InFlight { again: fresh };
            }
            // It keeps its turn, unless it gets an earlier one.
            Some(Entry { place: Place::Ready { .. }, fresh: Some((same, known)), .. })
                if *same == urgency && Some((*same, *known)) <= fresh => {}
            _ => self.ready(account, fresh),
        }
    }

    fn add_retry(&mut self, account: AccountId) {
        if self.entries.get(&account).is_none_or(|entry| matches!(entry.place, Place::Waiting { .. })) {
            self.ready(account, None);
        }
    }

    /// The account whose turn it is: fresh edits by what they do, when they count as queued and who became ready first; then
    /// retries by who became ready first, and one of them after nineteen others.
    fn next(&mut self, now: Timestamp) -> Option<AccountId> {
        let mut due: Vec<(Timestamp, AccountId)> = Vec::new();
        for (account, entry) in &self.entries {
            if let Place::Waiting { until } = entry.place {
                due.extend((until <= now).then_some((until, *account)));
            }
        }
        due.sort_unstable();
        for (_, account) in due {
            let Entry { fresh, .. } = self.entries[&account];
            self.ready(account, fresh);
        }
        let ready = |(account, entry): (&AccountId, &Entry)| match entry.place {
            Place::Ready { turn } => Some((entry.fresh, turn, *account)),
            _ => None,
        };
        let (fresh, retries): (Vec<_>, Vec<_>) =
            self.entries.iter().filter_map(ready).partition(|(fresh, ..)| fresh.is_some());
        let (fresh, retry) = (fresh.into_iter().min(), retries.into_iter().min());
        let turn = if fresh.is_none() || self.since_retry >= 19 { retry.or(fresh) } else { fresh };
        turn.map(|(.., account)| account)
    }

    fn popped(&mut self, account: AccountId) {
        let is_retry = self.entries[&account].fresh.is_none();
        self.since_retry = if is_retry { 0 } else { self.since_retry + 1 };
        self.entries.entry(account).and_modify(|entry| entry.place = Place::InFlight { again: None });
    }

    fn edited(&self, account: AccountId) -> Fresh {
        match self.entries[&account].place {
            Place::InFlight { again } => again,
            _ => None,
        }
    }

    fn in_flight(&self, which: usize) -> Option<AccountId> {
        let flying = |(account, entry): (&AccountId, &Entry)| match entry.place {
            Place::InFlight { .. } => Some(*account),
            _ => None,
        };
        self.entries.iter().filter_map(flying).nth(which)
    }
}

/// What an answer does to an account in flight, in the queue and in the model.
fn answer(queue: &mut WorkQueue, model: &mut Model, account: AccountId, step: &Step, now: Timestamp) {
    let edited = model.edited(account);
    match *step {
        Step::Done(_) => {
            queue.done(account, now);
            model.entries.remove(&account);
            edited.into_iter().for_each(|fresh| model.ready(account, Some(fresh)));
        }
        Step::PutBack(_, urgency, failed) => {
            queue.put_back(account, urgency, failed, now);
            let known = edited.or(model.entries[&account].fresh).map_or_else(|| queued(1, now), |(_, queued)| queued);
            model.ready(account, (!failed).then_some((urgency, known)));
        }
        Step::Retry(_, wait) => {
            let until = now + Duration::from_millis(wait);
            queue.retry(account, until, now);
            match edited {
                Some(fresh) => model.ready(account, Some(fresh)),
                None => model.wait(account, None, until),
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn the_queue_loses_nothing_wakes_nobody_early_and_keeps_its_order(steps in any_steps()) {
        let (mut queue, mut model, mut now) = (WorkQueue::default(), Model::default(), ms(1_000_000));
        for step in &steps {
            match *step {
                Step::Add(account, urgency, edited) => {
                    queue.add(id(account), urgency, edited, now);
                    model.add(id(account), urgency, edited, now);
                }
                Step::AddRetry(account) => {
                    queue.add_retry(id(account), now);
                    model.add_retry(id(account));
                }
                Step::Pop => {
                    let (found, expected) = (queue.pop(now).map(|popped| popped.account), model.next(now));
                    prop_assert_eq!(found, expected);
                    expected.into_iter().for_each(|account| model.popped(account));
                }
                Step::Peek => prop_assert_eq!(queue.peek(now), model.next(now)),
                Step::Remove(account) => {
                    queue.remove(id(account));
                    model.entries.retain(|other, entry| *other != id(account) || matches!(entry.place, Place::InFlight { .. }));
                }
                Step::Pass(millis) => now = now + Duration::from_millis(millis),
                Step::Delay(account, wait) => {
                    let until = now + Duration::from_millis(wait);
                    queue.delay(id(account), until);
                    let flies = |entry: &Entry| matches!(entry.place, Place::InFlight { .. });
                    if !model.entries.get(&id(account)).is_some_and(flies) {
                        model.wait(id(account), None, until);
                    }
                }
                Step::Defer(account, wait) => {
                    let until = now + Duration::from_millis(wait);
                    queue.defer(id(account), until);
                    if let Some(&Entry { place: Place::Ready { .. }, fresh }) = model.entries.get(&id(account)) {
                        model.wait(id(account), fresh, until);
                    }
                }
                Step::Done(flight) | Step::PutBack(flight, ..) | Step::Retry(flight, ..) => {
                    model.in_flight(flight).into_iter().for_each(|account| answer(&mut queue, &mut model, account, step, now));
                }
            }
            let waiting = |entry: &&Entry| matches!(entry.place, Place::Waiting { .. });
            let flying = model.entries.values().filter(|entry| matches!(entry.place, Place::InFlight { .. })).count();
            prop_assert_eq!(queue.depth(), model.entries.len() - flying);
            prop_assert_eq!(queue.delayed(), model.entries.values().filter(waiting).count());
            let due = model.entries.values().filter_map(|entry| match entry.place {
                Place::Waiting { until } => Some(until),
                _ => None,
            });
            prop_assert_eq!(queue.next_due(), due.min());
        }
    }
}
