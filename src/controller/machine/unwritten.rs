//! Records on their way to the disk, and what waits for them.
//!
//! In: records, and which PUT or token request they are of. Out: records to append with their ticket; what may go on when
//! a ticket is durable.
//! Invariants: records keep their order; what waits for a record waits for the ticket it was handed over with, and goes
//! on once. Absent by design: the ledger they are applied to, and the disk.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::account::AccountId;
use crate::ledger::Record;
use crate::timestamp::{ClockStep, Timestamp};

/// How long a record may wait for others to share its sync, while durable intents keep the requests going: some ten
/// syncs of a good disk, and far less than a person notices.
const WRITE_DELAY: Duration = Duration::from_millis(2);

/// What waits for records to be durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// The accounts of intents, in their order.
    pub(super) puts: Vec<AccountId>,
    /// A token request, and when it was begun.
    pub(super) token_request: Option<Timestamp>,
    /// A request for a page, and when it was begun.
    pub(super) read: Option<Timestamp>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    records: Vec<Record>,
    /// Since when the first of them waits.
    since: Option<Timestamp>,
    /// What waits for these records.
    next: Due,
    /// The last that was handed over.
    ticket: u64,
    /// What waits for those that were handed over.
    handed_over: BTreeMap<u64, Due>,
}

impl Unwritten {
    /// One more record.
    pub(super) fn push(&mut self, record: Record, now: Timestamp) {
        self.since.get_or_insert(now);
        self.records.push(record);
    }

    /// The account's PUT waits for the records so far.
    pub(super) fn put(&mut self, account: AccountId) {
        self.next.puts.push(account);
    }

    /// The token request that was begun `now` waits for the records so far.
    pub(super) fn token_request(&mut self, now: Timestamp) {
        self.next.token_request = Some(now);
    }

    /// The request for a page that was begun `now` waits for the records so far.
    pub(super) fn read(&mut self, now: Timestamp) {
        self.next.read = Some(now);
    }

    /// When records must be handed over at the latest.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.since.map(|since| since + WRITE_DELAY)
    }

    /// The wall clock was set: what waits has waited for as long as before. The records were made by the clock of then.
    pub(super) fn carry(&mut self, step: ClockStep) {
        let due = self.handed_over.values_mut().chain([&mut self.next]);
        let due = due.flat_map(|due| [&mut due.token_request, &mut due.read]);
        due.chain([&mut self.since]).flatten().for_each(|at| *at = step.carry(*at));
    }

    /// All records, with their ticket; `None` if there is none.
    pub(super) fn hand_over(&mut self) -> Option<(Vec<Record>, u64)> {
        self.since.take()?;
        self.ticket += 1;
        self.handed_over.insert(self.ticket, std::mem::take(&mut self.next));
        Some((std::mem::take(&mut self.records), self.ticket))
    }

    /// The records of `ticket` are on the disk: what waited for them.
    pub(super) fn durable(&mut self, ticket: u64) -> Due {
        self.handed_over.remove(&ticket).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_record_goes_on_with_the_ticket_of_that_record_and_once() {
        let (at, account) = (Timestamp::from_millis, AccountId::new(1).unwrap());
        let mut unwritten = Unwritten::default();
        assert_eq!((unwritten.due(), unwritten.hand_over()), (None, None));
        unwritten.push(Record::TokenRequest { at: at(1) }, at(1));
        unwritten.token_request(at(1));
        unwritten.push(Record::Pause { pause: None }, at(2));
        assert_eq!(unwritten.due(), Some(at(3)));
        let (records, first) = unwritten.hand_over().unwrap();
        assert_eq!(records, [Record::TokenRequest { at: at(1) }, Record::Pause { pause: None }]);
        unwritten.push(Record::Pause { pause: None }, at(5));
        unwritten.put(account);
        let (_, second) = unwritten.hand_over().unwrap();
        assert_eq!(unwritten.durable(second), Due { puts: vec![account], ..Due::default() });
        assert_eq!(unwritten.durable(first), Due { token_request: Some(at(1)), ..Due::default() });
        assert_eq!(unwritten.durable(first), Due::default());
    }

    #[test]
    fn what_waits_for_the_disk_has_waited_as_long_after_a_step_as_before() {
        let at = Timestamp::from_millis;
        let mut unwritten = Unwritten::default();
        for began in [8_000, 9_000] {
            unwritten.push(Record::TokenRequest { at: at(began) }, at(began));
            unwritten.token_request(at(began));
            if began == 8_000 {
                unwritten.hand_over();
            }
        }
        unwritten.carry(ClockStep { from: at(10_000), to: at(4_000) });
        assert_eq!(unwritten.due(), Some(at(3_000) + WRITE_DELAY));
        assert_eq!(unwritten.durable(1).token_request, Some(at(2_000)));
        let (records, second) = unwritten.hand_over().unwrap();
        assert_eq!(records, [Record::TokenRequest { at: at(9_000) }], "as it was made");
        assert_eq!(unwritten.durable(second).token_request, Some(at(3_000)));
    }
}
