//! The journal, in memory: acknowledges late, can be full, and loses what a kill catches on the way.
//!
//! In: records. Out: `Durable`, `Stopped`, `Resumed`, as the ledger's file says them; and the ledger as
//! whoever starts next finds it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::Journal;
use zoho_mail_reconciler::ledger::file::{Committed, LedgerError};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Shared, Universe, lock};

/// What is on the disk, and what is on the way to it.
pub struct Disk {
    /// The ledger as a restart finds it.
    pub durable: Ledger,
    /// Whether there is no room.
    pub full: bool,
    queue: VecDeque<Record>,
    /// Each with the number of records that must be durable first, counted from the beginning of time.
    tickets: VecDeque<(usize, u64)>,
    appended: usize,
    /// How many records the write under way holds.
    group: usize,
}

impl Disk {
    pub fn new(owner: Owner) -> Self {
        let (queue, tickets) = (VecDeque::new(), VecDeque::new());
        Self { durable: Ledger::new(owner), full: false, queue, tickets, appended: 0, group: 0 }
    }

    /// The process was killed in the middle of a write: some of the group made it.
    pub fn kill(universe: &mut Universe, now: Timestamp) {
        let group = universe.disk.group.min(universe.disk.queue.len());
        let kept = if universe.disk.full { 0 } else { universe.chance.usize(0..=group) };
        Self::make_durable(universe, kept, now);
        universe.disk.forget();
    }

    /// The process ends in order: all is written, if there is room.
    pub fn close(universe: &mut Universe, now: Timestamp) {
        let all = if universe.disk.full { 0 } else { universe.disk.queue.len() };
        Self::make_durable(universe, all, now);
        universe.disk.forget();
    }

    fn forget(&mut self) {
        self.queue.clear();
        self.tickets.clear();
        self.group = 0;
        self.appended = 0;
    }

    fn make_durable(universe: &mut Universe, count: usize, now: Timestamp) {
        for record in universe.disk.queue.drain(..count) {
            universe.proofs.note(now, format!("durable  {}", brief(&record)));
            universe.proofs.durable(&record);
            universe.disk.durable.apply(record);
        }
        universe.proofs.truth(&universe.disk.durable, &universe.world, now);
    }
}

/// A record on one line of the story.
fn brief(record: &Record) -> String {
    match record {
        Record::Intent { account, field, to, .. } => format!("intent {account} {field} {to}"),
        Record::Applied { account, field, value, .. } => format!("applied {account} {field} {value}"),
        Record::NotApplied { account, field, .. } => format!("not applied {account} {field}"),
        other => format!("{other:?}"),
    }
}

/// The journal of one life.
pub struct MemoryJournal {
    universe: Shared,
    clock: Clock,
    wake: Arc<Notify>,
}

impl MemoryJournal {
    /// Begins to write in the background.
    pub fn open(universe: &Shared, clock: Clock, out: UnboundedSender<Committed>) -> Self {
        let wake = Arc::new(Notify::new());
        tokio::spawn(write(Arc::clone(universe), clock, Arc::clone(&wake), out));
        Self { universe: Arc::clone(universe), clock, wake }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, records: Vec<Record>, ticket: u64) {
        let mut universe = lock(&self.universe);
        let now = self.clock.now();
        for record in &records {
            let Universe { proofs, world, .. } = &mut *universe;
            proofs.appended(record, world, now);
        }
        universe.disk.appended += records.len();
        universe.disk.queue.extend(records);
        let due = universe.disk.appended;
        universe.disk.tickets.push_back((due, ticket));
        self.wake.notify_one();
    }
}

async fn write(universe: Shared, clock: Clock, wake: Arc<Notify>, out: UnboundedSender<Committed>) {
    let mut stopped = false;
    loop {
        let Some(took) = begin_group(&universe) else {
            wake.notified().await;
            continue;
        };
        sleep(took).await;
        let tickets = end_group(&universe, clock.now());
        // Nobody listens to a journal whose conductor has ended.
        match tickets {
            None => {
                if !std::mem::replace(&mut stopped, true) {
                    let source = std::io::ErrorKind::StorageFull.into();
                    let _ =
                        out.send(Committed::Stopped { error: LedgerError::NoRoom { path: "ledger".into(), source } });
                }
                sleep(Duration::from_secs(1)).await;
            }
            Some(tickets) => {
                if std::mem::take(&mut stopped) {
                    let _ = out.send(Committed::Resumed);
                }
                for ticket in tickets {
                    let _ = out.send(Committed::Durable { ticket, took });
                }
            }
        }
    }
}

fn begin_group(universe: &Shared) -> Option<Duration> {
    let mut universe = lock(universe);
    if universe.disk.tickets.is_empty() {
        return None;
    }
    universe.disk.group = universe.disk.queue.len();
    let millis = match universe.chance.u8(0..40) {
        0 => universe.chance.u64(0..20_000),
        1..4 => universe.chance.u64(0..500),
        _ => universe.chance.u64(0..5),
    };
    Some(Duration::from_millis(millis))
}

/// The tickets that are due; nothing if there was no room.
fn end_group(universe: &Shared, now: Timestamp) -> Option<Vec<u64>> {
    let mut universe = lock(universe);
    if universe.disk.full {
        return None;
    }
    let group = std::mem::take(&mut universe.disk.group);
    Disk::make_durable(&mut universe, group, now);
    let disk = &mut universe.disk;
    let written = disk.appended - disk.queue.len();
    let due = disk.tickets.iter().take_while(|(due, _)| *due <= written).count();
    Some(disk.tickets.drain(..due).map(|(_, ticket)| ticket).collect())
}
