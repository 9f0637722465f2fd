//! The journal, in memory: acknowledges late, can be full, folds now and then, and loses what a crash catches on the way.
//!
//! In: records. Out: `Durable`, `Stopped`, `Resumed`, as the ledger's file says them; and the ledger as
//! whoever starts next reads it from the bytes.

mod platter;

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

use self::platter::Platter;
use super::broken::Broken;
use super::proofs::Rule;
use super::{Shared, Universe, lock_at};

/// What is on the disk, and what is on the way to it.
pub struct Disk {
    /// The ledger that the records make which were said to be durable.
    pub durable: Ledger,
    /// The one that all records make which were handed over.
    pub live: Ledger,
    /// Whether there is no room.
    pub full: bool,
    /// Whether the next sync fails: then nobody knows what of it is on the disk.
    pub failing: bool,
    platter: Platter,
    queue: VecDeque<Record>,
    /// Each with the number of records that must be durable first, counted from the beginning of this life.
    tickets: VecDeque<(usize, u64)>,
    appended: usize,
}

/// How a process ends that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It is killed; what it wrote is there.
    Kill,
    /// The machine goes with it, and all that was not synced.
    Power,
}

impl Disk {
    pub fn new(owner: Owner) -> Self {
        let (queue, tickets) = (VecDeque::new(), VecDeque::new());
        let [durable, live] = [Ledger::new(owner), Ledger::new(owner)];
        Self { durable, live, full: false, failing: false, platter: Platter::new(owner), queue, tickets, appended: 0 }
    }

    /// The process ends in order: all is written and folded, if there is room.
    pub fn close(universe: &mut Universe, now: Timestamp) {
        let disk = &mut universe.disk;
        disk.platter.cut_back();
        if disk.full {
            return Self::crash(universe, Crash::Kill);
        }
        if !disk.queue.is_empty() {
            disk.platter.write(disk.queue.make_contiguous());
            Self::sync(universe, now);
        }
        if !universe.disk.platter.is_folded() {
            universe.disk.replace_snapshot();
            universe.disk.platter.empty_journal();
        }
    }

    /// The process ends in the middle of anything, or the machine does when it has ended.
    pub fn crash(universe: &mut Universe, crash: Crash) {
        let Universe { disk, chance, broken, .. } = universe;
        if *broken == Some(Broken::LosesWhatItSynced) {
            disk.platter.synced /= 2;
        }
        match crash {
            Crash::Kill => disk.platter.kill(chance),
            Crash::Power => disk.platter.power_cut(chance),
        }
    }

    /// A process starts. What the bytes say has to be what was said to be durable, and perhaps some more of what was
    /// on the way.
    pub fn open(universe: &mut Universe, now: Timestamp) -> Ledger {
        let Universe { disk, proofs, .. } = universe;
        let (written, before) = (disk.platter.written as u64, disk.durable.serial);
        match disk.platter.open() {
            Ok(found) => {
                let more = found.serial.checked_sub(before).filter(|more| *more <= written);
                Self::live_through(universe, more.unwrap_or(0), now);
                let Universe { disk, proofs, .. } = universe;
                if remembered(&found) != remembered(&disk.durable) {
                    proofs.violate(
                        Rule::Memory,
                        now,
                        format!("record {} is found, {before} was durable", found.serial),
                    );
                }
                disk.durable = found;
            }
            Err(fault) => {
                // Its way out is an operator's: there is no going on in here.
                disk.platter = Platter::new(disk.durable.owner);
                disk.durable = Ledger::new(disk.durable.owner);
                proofs.violate(Rule::Memory, now, format!("the ledger is refused: {fault:?}"));
            }
        }
        let Universe { disk, proofs, .. } = universe;
        disk.forget();
        proofs.begins(&disk.durable, now);
        disk.durable.clone()
    }

    fn forget(&mut self) {
        self.live.clone_from(&self.durable);
        self.queue.clear();
        self.tickets.clear();
        self.appended = 0;
    }

    fn sync(universe: &mut Universe, now: Timestamp) {
        let written = universe.disk.platter.written as u64;
        universe.disk.platter.sync();
        Self::live_through(universe, written, now);
    }

    /// The next records of the queue are durable.
    fn live_through(universe: &mut Universe, count: u64, now: Timestamp) {
        let Universe { disk, proofs, world, wall, .. } = universe;
        for record in disk.queue.drain(..count as usize) {
            proofs.note(now, || format!("durable {} {}", disk.durable.serial + 1, brief(&record)));
            proofs.durable(&record);
            wall.durable(&record);
            disk.durable.apply(record);
        }
        proofs.truth(&disk.durable, world, now);
    }

    fn replace_snapshot(&mut self) {
        self.durable = remembered(&self.durable);
        self.platter.replace_snapshot(&self.durable);
    }
}

/// What a fold keeps.
fn remembered(ledger: &Ledger) -> Ledger {
    let mut ledger = ledger.clone();
    ledger.forget_before(ledger.last_request());
    ledger
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
    out: UnboundedSender<Committed>,
}

impl MemoryJournal {
    /// Begins to write in the background.
    pub fn open(universe: &Shared, clock: Clock, out: UnboundedSender<Committed>) -> Self {
        let wake = Arc::new(Notify::new());
        let fuse = Arc::clone(&lock_at(universe, clock.now()).fuse);
        tokio::spawn(fuse.guard(write(Arc::clone(universe), clock.clone(), Arc::clone(&wake), out.clone())));
        Self { universe: Arc::clone(universe), clock, wake, out }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, records: Vec<Record>, ticket: u64) {
        let now = self.clock.now();
        let mut universe = lock_at(&self.universe, now);
        let Universe { proofs, world, disk, broken, .. } = &mut *universe;
        for record in &records {
            proofs.appended(record, now);
            disk.live.apply(record.clone());
        }
        proofs.truth(&disk.live, world, now);
        disk.appended += records.len();
        disk.queue.extend(records);
        disk.tickets.push_back((disk.appended, ticket));
        match broken {
            Some(Broken::AcknowledgesEarly) => {
                let _ = self.out.send(Committed::Durable { ticket, took: Duration::ZERO });
            }
            Some(Broken::Chatters) => drop(tokio::spawn(chatter(self.out.clone()))),
            _ => {}
        }
        self.wake.notify_one();
    }
}

/// Says the same again and again.
async fn chatter(out: UnboundedSender<Committed>) {
    while out.send(Committed::Resumed).is_ok() {
        tokio::task::yield_now().await;
    }
}

async fn write(universe: Shared, clock: Clock, wake: Arc<Notify>, out: UnboundedSender<Committed>) {
    let mut stopped = false;
    // What a crash left is folded at once.
    fold(&universe, &clock, true).await;
    loop {
        let Some(took) = begin_group(&universe, clock.now()) else {
            wake.notified().await;
            continue;
        };
        sleep(took).await;
        // Nobody listens to a journal whose conductor has ended.
        match end_group(&universe, clock.now()) {
            Err(Trouble::Broken) => {
                let source = std::io::ErrorKind::Other.into();
                let error = LedgerError::NotDurable { path: "ledger".into(), source };
                return drop(out.send(Committed::Fatal(error)));
            }
            Err(Trouble::Full) => {
                if !std::mem::replace(&mut stopped, true) {
                    let source = std::io::ErrorKind::StorageFull.into();
                    let error = LedgerError::NoRoom { path: "ledger".into(), source };
                    let _ = out.send(Committed::Stopped { error });
                }
                sleep(Duration::from_secs(1)).await;
            }
            Ok(tickets) => {
                if std::mem::take(&mut stopped) {
                    let _ = out.send(Committed::Resumed);
                }
                for ticket in tickets {
                    let _ = out.send(Committed::Durable { ticket, took });
                }
                let due = lock_at(&universe, clock.now()).chance.u8(0..20) == 0;
                fold(&universe, &clock, due).await;
            }
        }
    }
}

/// Replaces the snapshot, then empties the journal; a crash may come in between.
async fn fold(universe: &Shared, clock: &Clock, due: bool) {
    let pause = {
        let mut universe = lock_at(universe, clock.now());
        if !due || universe.disk.full || universe.disk.platter.is_folded() {
            return;
        }
        universe.disk.replace_snapshot();
        Duration::from_millis(universe.chance.u64(0..50))
    };
    sleep(pause).await;
    lock_at(universe, clock.now()).disk.platter.empty_journal();
}

fn begin_group(universe: &Shared, now: Timestamp) -> Option<Duration> {
    let mut universe = lock_at(universe, now);
    let Universe { disk, chance, .. } = &mut *universe;
    if disk.tickets.is_empty() {
        return None;
    }
    disk.platter.write(disk.queue.make_contiguous());
    let millis = match chance.u8(0..40) {
        0 => chance.u64(0..20_000),
        1..4 => chance.u64(0..500),
        _ => chance.u64(0..5),
    };
    Some(Duration::from_millis(millis))
}

/// Why a group is not durable.
enum Trouble {
    /// There is no room.
    Full,
    /// The sync failed.
    Broken,
}

/// The tickets that are due.
fn end_group(universe: &Shared, now: Timestamp) -> Result<Vec<u64>, Trouble> {
    let mut universe = lock_at(universe, now);
    if std::mem::take(&mut universe.disk.failing) {
        return Err(Trouble::Broken);
    }
    if universe.disk.full {
        universe.disk.platter.cut_back();
        return Err(Trouble::Full);
    }
    Disk::sync(&mut universe, now);
    let disk = &mut universe.disk;
    let written = disk.appended - disk.queue.len();
    let due = disk.tickets.iter().take_while(|(due, _)| *due <= written).count();
    Ok(disk.tickets.drain(..due).map(|(_, ticket)| ticket).collect())
}
