//! The journal, in memory: acknowledges late, can be full, folds now and then, and loses what a crash catches on the way.
//!
//! In: records. Out: what the ledger's file would say, as events; and the ledger as the process that starts next reads it
//! from the bytes.

mod platter;

use std::collections::VecDeque;
use std::time::Duration;

use zoho_mail_reconciler::controller::event::Event;
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use self::platter::Platter;
use super::Universe;
use super::agenda::{Due, Step};
use super::broken::Broken;
use super::life::{Life, Over};
use super::proofs::Rule;

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
            proofs.written_ahead = wall.written();
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

/// What the writer of a journal is at, in one life.
#[derive(Default)]
pub struct Writer {
    /// It writes, waits or folds.
    is_busy: bool,
    /// It said that there is no room.
    has_stopped: bool,
    /// How long the sync of the group takes.
    took: Duration,
}

impl Writer {
    /// Whether records are on their way to the disk.
    pub const fn is_busy(&self) -> bool {
        self.is_busy
    }
}

/// Why a group is not durable.
enum Trouble {
    /// There is no room.
    Full,
    /// The sync failed.
    Broken,
}

impl Life<'_> {
    /// The process hands records over.
    pub fn append(&mut self, records: Vec<Record>, ticket: u64) {
        let now = self.now;
        let Universe { proofs, world, disk, broken, .. } = &mut *self.universe;
        for record in &records {
            proofs.appended(record, now);
            disk.live.apply(record.clone());
        }
        proofs.truth(&disk.live, world, now);
        disk.appended += records.len();
        disk.queue.extend(records);
        disk.tickets.push_back((disk.appended, ticket));
        match broken {
            Some(Broken::AcknowledgesEarly) => self.feed(Event::Durable { ticket }),
            Some(Broken::Chatters) => self.journal(Duration::ZERO, Step::Chatter),
            _ => {}
        }
        self.write_group();
    }

    /// What a crash left is folded at once.
    pub fn open_journal(&mut self) {
        self.fold_if(true);
    }

    fn journal(&mut self, after: Duration, step: Step) {
        self.agenda.add(self.now + after, Due::Journal(step));
    }

    /// The next group is written, if there is one and nothing else is done.
    fn write_group(&mut self) {
        let Universe { disk, chance, .. } = &mut *self.universe;
        if self.writer.is_busy || disk.tickets.is_empty() {
            return;
        }
        disk.platter.write(disk.queue.make_contiguous());
        let millis = match chance.u8(0..40) {
            0 => chance.u64(0..20_000),
            1..4 => chance.u64(0..500),
            _ => chance.u64(0..5),
        };
        self.writer.took = Duration::from_millis(millis);
        self.writer.is_busy = true;
        self.journal(self.writer.took, Step::Written);
    }

    /// The writer goes on.
    pub fn write_on(&mut self, step: Step) -> Result<(), Over> {
        match step {
            Step::Written => return self.end_group(),
            Step::Folded => self.universe.disk.platter.empty_journal(),
            Step::Again => {}
            Step::Chatter => {
                self.feed(Event::Writable);
                self.journal(Duration::ZERO, Step::Chatter);
                return Ok(());
            }
        }
        self.writer.is_busy = false;
        self.write_group();
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Over> {
        match end_group(self.universe, self.now) {
            Err(Trouble::Broken) => Err(Over::Broken),
            Err(Trouble::Full) => {
                if !std::mem::replace(&mut self.writer.has_stopped, true) {
                    self.feed(Event::Unwritable("there is no room".into()));
                }
                self.journal(Duration::from_secs(1), Step::Again);
                Ok(())
            }
            Ok(tickets) => {
                if std::mem::take(&mut self.writer.has_stopped) {
                    self.feed(Event::Writable);
                }
                tickets.into_iter().for_each(|ticket| self.feed(Event::Durable { ticket }));
                self.writer.is_busy = false;
                let due = self.universe.chance.u8(0..20) == 0;
                self.fold_if(due);
                self.write_group();
                Ok(())
            }
        }
    }

    /// Replaces the snapshot, then empties the journal; a crash may come in between.
    fn fold_if(&mut self, due: bool) {
        let Universe { disk, chance, .. } = &mut *self.universe;
        if !due || disk.full || disk.platter.is_folded() {
            return;
        }
        disk.replace_snapshot();
        let pause = Duration::from_millis(chance.u64(0..50));
        self.writer.is_busy = true;
        self.journal(pause, Step::Folded);
    }
}

/// The tickets that are due.
fn end_group(universe: &mut Universe, now: Timestamp) -> Result<Vec<u64>, Trouble> {
    if std::mem::take(&mut universe.disk.failing) {
        return Err(Trouble::Broken);
    }
    if universe.disk.full {
        universe.disk.platter.cut_back();
        return Err(Trouble::Full);
    }
    Disk::sync(universe, now);
    let disk = &mut universe.disk;
    let written = disk.appended - disk.queue.len();
    let due = disk.tickets.iter().take_while(|(due, _)| *due <= written).count();
    Ok(disk.tickets.drain(..due).map(|(_, ticket)| ticket).collect())
}
