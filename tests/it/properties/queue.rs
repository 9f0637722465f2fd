//! The work queue against a list. In: any sequence of what the controller does with it. Out: the same account the list
//! gives, so none is lost, none is in flight twice, none wakes early, and the order is the promised one.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::queue::{Backoff, Urgency, WorkQueue};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{config, id, ms};

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Urgency),
    Pop,
    Peek,
    Done(usize),
    PutBack(usize, Urgency),
    Retry(usize, Urgency, f64),
    Succeeded(usize),
    Remove(u64),
    Pass(u64),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let account = || 1..6_u64;
    let flight = || 0..5_usize;
    let urgency = || prop::sample::select(vec![Urgency::Revocation, Urgency::Grant]);
    let step = prop_oneof![
        8 => (account(), urgency()).prop_map(|(account, urgency)| Step::Add(account, urgency)),
        8 => Just(Step::Pop),
        1 => Just(Step::Peek),
        2 => flight().prop_map(Step::Done),
        2 => (flight(), urgency()).prop_map(|(flight, urgency)| Step::PutBack(flight, urgency)),
        4 => (flight(), urgency(), 0.0..1.0).prop_map(|(flight, urgency, chance)| Step::Retry(flight, urgency, chance)),
        1 => flight().prop_map(Step::Succeeded),
        1 => account().prop_map(Step::Remove),
        6 => (0..9_000_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..80)
}

const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(6) };

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
        again: Option<Urgency>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    urgency: Urgency,
    fresh: bool,
    failures: u32,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<AccountId, Entry>,
    turn: usize,
}

impl Model {
    fn ready(&mut self, account: AccountId, urgency: Urgency, failures: u32) {
        self.turn += 1;
        let place = Place::Ready { turn: self.turn };
        self.entries.insert(account, Entry { place, urgency, fresh: failures == 0, failures });
    }

    fn add(&mut self, account: AccountId, urgency: Urgency) {
        match self.entries.get_mut(&account) {
            Some(entry) if matches!(entry.place, Place::InFlight { .. }) => {
                (entry.place, entry.failures) = (Place::InFlight { again: Some(urgency) }, 0);
            }
            // Said again is not said anew: it keeps its turn.
            Some(entry) if matches!(entry.place, Place::Ready { .. }) && entry.fresh && entry.urgency == urgency => {}
            _ => self.ready(account, urgency, 0),
        }
    }

    /// The account whose turn it is: what takes away first, then fresh edits, then who became ready first.
    fn next(&mut self, now: Timestamp) -> Option<AccountId> {
        let mut due: Vec<(Timestamp, AccountId)> = Vec::new();
        for (account, entry) in &self.entries {
            if let Place::Waiting { until } = entry.place {
                due.extend((until <= now).then_some((until, *account)));
            }
        }
        due.sort_unstable();
        for (_, account) in due {
            let Entry { urgency, failures, .. } = self.entries[&account];
            self.ready(account, urgency, failures);
        }
        let rank = |entry: &Entry| match entry.place {
            Place::Ready { turn } => Some((entry.urgency != Urgency::Revocation, !entry.fresh, turn)),
            _ => None,
        };
        self.entries
            .iter()
            .filter_map(|(account, entry)| Some((rank(entry)?, *account)))
            .min()
            .map(|(_, account)| account)
    }

    fn edited(&self, account: AccountId) -> Option<Urgency> {
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
    let (edited, failures) = (model.edited(account), model.entries[&account].failures);
    match *step {
        Step::Done(_) => {
            queue.done(account, now);
            model.entries.remove(&account);
            edited.into_iter().for_each(|urgency| model.ready(account, urgency, 0));
        }
        Step::PutBack(_, urgency) => {
            queue.put_back(account, urgency, now);
            model.ready(account, urgency, failures);
        }
        Step::Retry(_, urgency, chance) => {
            queue.retry(account, urgency, BACKOFF, chance, now);
            match (edited, queue.next_due()) {
                (Some(urgency), _) => model.ready(account, urgency, 0),
                (None, due) => {
                    // The bound doubles with each failure, up to its maximum; where below it is chance.
                    let bound = BACKOFF.min.saturating_mul(1 << failures).min(BACKOFF.max);
                    let until = now + bound.mul_f64(chance);
                    assert!(due.is_some_and(|due| due <= until) && until <= now + BACKOFF.max);
                    let entry =
                        Entry { place: Place::Waiting { until }, urgency, fresh: false, failures: failures + 1 };
                    model.entries.insert(account, entry);
                }
            }
        }
        _ => {
            queue.succeeded(account);
            model.entries.entry(account).and_modify(|entry| entry.failures = 0);
        }
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn the_queue_loses_nothing_wakes_nobody_early_and_keeps_its_order(steps in any_steps()) {
        let (mut queue, mut model, mut now) = (WorkQueue::default(), Model::default(), ms(1_000_000));
        for step in &steps {
            match *step {
                Step::Add(account, urgency) => {
                    queue.add(id(account), urgency, now);
                    model.add(id(account), urgency);
                }
                Step::Pop => {
                    let (found, expected) = (queue.pop(now).map(|popped| popped.account), model.next(now));
                    prop_assert_eq!(found, expected);
                    let fly = |entry: &mut Entry| entry.place = Place::InFlight { again: None };
                    expected.map(|account| model.entries.entry(account).and_modify(fly));
                }
                Step::Peek => prop_assert_eq!(queue.peek(now), model.next(now)),
                Step::Remove(account) => {
                    queue.remove(id(account));
                    model.entries.retain(|other, entry| *other != id(account) || matches!(entry.place, Place::InFlight { .. }));
                }
                Step::Pass(millis) => now = now + Duration::from_millis(millis),
                Step::Done(flight) | Step::PutBack(flight, _) | Step::Retry(flight, ..) | Step::Succeeded(flight) => {
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
            for (account, entry) in &model.entries {
                prop_assert_eq!(queue.failures(*account), entry.failures);
            }
        }
    }
}
