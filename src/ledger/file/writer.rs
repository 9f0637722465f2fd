//! The thread that owns the journal: one write and one sync for everything that waits.
//!
//! In: [`Command`]s. Out: [`Committed`]s, and a last word when it ends.
//! Invariants: the journal's length on disk is `len`, all of it whole lines, whenever no write is
//! under way; after a write that found no room it is cut back to that before anything else; a
//! sync that failed is never repeated, since the system may have dropped the bytes and would say
//! yes the second time.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::lock::Lock;
use super::place::{Place, Seen, size_limit};
use super::{Committed, LedgerError, audit, look, mark_of, replay};
use crate::ledger::{Ledger, Owner, Record, journal, snapshot};

/// The smallest journal that is worth a fold, in bytes: some 2,000 PUTs.
const FOLD_MIN: u64 = 1024 * 1024;

/// A larger one is folded when it is this part of the snapshot: a byte of the journal then costs
/// four of a snapshot, at any size, and neither a start nor a fold ever reads a long journal.
const FOLD_PART: u64 = 4;

/// How soon the writer tries again where there was no room, and how seldom in the end: soon enough for what passes at
/// once (a file descriptor that is freed), seldom enough for a disk that is full for days.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

fn fold_at(snapshot_len: u64) -> u64 {
    (snapshot_len / FOLD_PART).max(FOLD_MIN)
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Append { records: Vec<Record>, ticket: u64 },
    Fold,
    Announce(Box<str>),
    Close,
}

/// How the commands ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// With [`Command::Close`].
    Closed,
    /// The ledger was dropped.
    Dropped,
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    records: Vec<Record>,
    /// Each with the number of records that must be durable first, counted from the front.
    tickets: Vec<(usize, u64)>,
    fold: bool,
    options: Option<Box<str>>,
    ending: Option<Ending>,
}

impl Queue {
    fn take(&mut self, command: Command) {
        match command {
            Command::Append { records, ticket } => {
                self.records.extend(records);
                self.tickets.push((self.records.len(), ticket));
            }
            Command::Fold => self.fold = true,
            Command::Announce(options) => self.options = Some(options),
            Command::Close => self.ending = Some(Ending::Closed),
        }
    }

    /// Waits for a command, or until `retry`, then takes all that are there.
    fn gather(&mut self, commands: &Receiver<Command>, retry: Option<Instant>) {
        while self.ending.is_none() {
            let received = match retry {
                Some(at) => commands.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => self.ending = Some(Ending::Dropped),
            }
            if retry.is_none() {
                break;
            }
        }
        commands.try_iter().for_each(|command| self.take(command));
    }
}

/// Why nothing can be written at the moment.
struct Stop {
    next_try: Instant,
    pause: Duration,
    /// The limit is on the file's size, not on the disk: a fold helps.
    too_large: bool,
}

pub(super) struct Writer {
    place: Place,
    /// Held until the last write.
    lock: Lock,
    owner: Owner,
    serial: u64,
    journal: Option<(File, u64)>,
    snapshot_len: Option<u64>,
    fold_at: u64,
    stop: Option<Stop>,
    committed: UnboundedSender<Committed>,
}

impl Writer {
    pub(super) fn new(
        (place, lock): (Place, Lock),
        owner: Owner,
        serial: u64,
        journal: Option<(File, u64)>,
        snapshot_len: Option<u64>,
        committed: UnboundedSender<Committed>,
    ) -> Self {
        let fold_at = fold_at(snapshot_len.unwrap_or(0));
        Self { place, lock, owner, serial, journal, snapshot_len, fold_at, stop: None, committed }
    }

    /// Works until the ledger is closed or dropped, or until something fatal.
    pub(super) fn run(mut self, commands: &Receiver<Command>) -> Result<(), LedgerError> {
        let mut queue = Queue::default();
        loop {
            queue.gather(commands, self.stop.as_ref().map(|stop| stop.next_try));
            if let Some(options) = queue.options.take() {
                self.lock.announce(options);
            }
            let worked = self.work(&mut queue);
            match (worked, queue.ending) {
                (Ok(()), None) => {}
                (worked, Some(Ending::Closed)) => return worked.and_then(|()| self.finish()),
                (worked, Some(Ending::Dropped)) => return worked,
                (Err(error), None) => {
                    let closed = LedgerError::Closed { path: self.place.snapshot };
                    let _ = self.committed.send(Committed::Fatal(error));
                    return Err(closed);
                }
            }
        }
    }

    /// Writes the queue and folds if it is time. An error is fatal, unless the end has come anyway.
    fn work(&mut self, queue: &mut Queue) -> Result<(), LedgerError> {
        if self.stop.as_ref().is_some_and(|stop| stop.too_large) {
            self.try_fold()?;
        }
        match self.commit(queue) {
            Err(error) if error.passes() && queue.ending.is_none() => self.stopped(error),
            result => result?,
        }
        let due = self.journal_len() >= self.fold_at;
        // At the end a fold comes anyway, or is not wanted.
        if (std::mem::take(&mut queue.fold) || due) && queue.ending.is_none() && self.stop.is_none() {
            self.try_fold()?;
        }
        Ok(())
    }

    fn journal_len(&self) -> u64 {
        self.journal.as_ref().map_or(0, |(_, len)| *len)
    }

    fn stopped(&mut self, error: LedgerError) {
        let pause = self.stop.as_ref().map_or(*RETRY.start(), |stop| (stop.pause * 2).min(*RETRY.end()));
        let too_large =
            matches!(&error, LedgerError::NoRoom { source, .. } if source.kind() == io::ErrorKind::FileTooLarge);
        let stop = Stop { next_try: Instant::now() + pause, pause, too_large };
        if self.stop.replace(stop).is_none() {
            self.lock.note(Some(&error));
            let _ = self.committed.send(Committed::Stopped { error });
        }
    }

    /// Writes all that is queued, group by group. What is durable leaves the queue.
    fn commit(&mut self, queue: &mut Queue) -> Result<(), LedgerError> {
        let mut took = Duration::ZERO;
        while !queue.records.is_empty() {
            let begun = Instant::now();
            let written = self.write_group(&queue.records)?;
            took = begun.elapsed();
            if self.stop.take().is_some() {
                self.lock.note(None);
                let _ = self.committed.send(Committed::Resumed);
            }
            queue.records.drain(..written);
            for (due, _) in &mut queue.tickets {
                *due = due.saturating_sub(written);
            }
            self.acknowledge(&mut queue.tickets, took);
        }
        self.acknowledge(&mut queue.tickets, took);
        Ok(())
    }

    fn acknowledge(&self, tickets: &mut Vec<(usize, u64)>, took: Duration) {
        let durable = tickets.iter().take_while(|(due, _)| *due == 0).count();
        for (_, ticket) in tickets.drain(..durable) {
            let _ = self.committed.send(Committed::Durable { ticket, took });
        }
    }

    /// One write, one sync. Returns how many of the records it took.
    fn write_group(&mut self, records: &[Record]) -> Result<usize, LedgerError> {
        self.check_journal()?;
        let path = &self.place.journal;
        let (file, len) = match &mut self.journal {
            Some((file, len)) => (file, len),
            none => {
                let made = none.insert((self.place.make_journal()?, 0));
                (&mut made.0, &mut made.1)
            }
        };
        let mut bytes = Vec::new();
        if *len == 0 {
            journal::encode_head(self.owner, &mut bytes);
        }
        let written = journal::encode_group(records, self.serial + 1, &mut bytes);
        let end = *len + bytes.len() as u64;
        if end > size_limit() {
            return Err(LedgerError::io(path, "write", io::ErrorKind::FileTooLarge.into()));
        }
        if let Err(source) = file.write_all(&bytes) {
            let cut = file.set_len(*len);
            cut.map_err(|source| LedgerError::Io { path: path.clone(), action: "cut", source })?;
            return Err(LedgerError::io(path, "write", source));
        }
        file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;
        *len = end;
        self.serial += written as u64;
        Ok(written)
    }

    /// Looked at before each write: a journal that was removed or changed underneath would
    /// swallow what is acknowledged next.
    fn check_journal(&mut self) -> Result<(), LedgerError> {
        // A journal never stands alone; and it is better to know before the first request
        // whether a snapshot can be written at all.
        if self.snapshot_len.is_none() && self.journal_len() == 0 {
            let empty = Ledger::new(self.owner);
            let written = self.place.write_snapshot(|out| snapshot::write(&empty, out));
            // What may not be on the disk must not be found by the next run: it holds nothing yet.
            self.snapshot_len = Some(written.inspect_err(|_| drop(self.place.remove_snapshot()))?);
        }
        let Some((file, len)) = &self.journal else { return Ok(()) };
        let path = &self.place.journal;
        let found = file.metadata().map_err(|source| LedgerError::io(path, "look at", source))?;
        let what = match found.nlink() {
            0 => "it was removed".to_owned(),
            _ if found.len() != *len => format!("it has {} bytes, where {len} were written", found.len()),
            _ => return Ok(()),
        };
        Err(LedgerError::Disturbed { path: path.clone(), what })
    }

    /// Folds; if that cannot be done now, the journal grows on, up to twice its size.
    fn try_fold(&mut self) -> Result<(), LedgerError> {
        match self.fold().and_then(|()| self.empty_journal()) {
            Err(error) if self.is_put_off(&error) => {
                self.fold_at = (self.journal_len() * 2).max(FOLD_MIN);
                tracing::warn!(%error, source = std::error::Error::source(&error), "the journal could not be folded");
                Ok(())
            }
            result => result,
        }
    }

    /// Whether a fold that failed so only has to wait: nothing that is durable depends on it.
    fn is_put_off(&self, error: &LedgerError) -> bool {
        match error {
            LedgerError::Io { .. } | LedgerError::ReadOnly { .. } => true,
            LedgerError::NotAFile { path } => *path == self.place.audit,
            error => error.passes(),
        }
    }

    /// Rewrites the snapshot from what is on the disk. Records that the journal still holds are skipped from then on.
    fn fold(&mut self) -> Result<(), LedgerError> {
        if self.journal_len() == 0 {
            return Ok(());
        }
        let len = match self.fold_rows()? {
            Some(len) => len,
            None => {
                let mut found = look(&self.place, Some(self.owner))?;
                let mut ledger = self.as_lived_through(found.ledger.take())?;
                ledger.audit = audit::catch_up(&self.place, self.owner, &found.mark, found.lines())?;
                self.place.write_snapshot(|out| snapshot::write(&ledger, out))?
            }
        };
        self.snapshot_len = Some(len);
        self.fold_at = fold_at(len);
        Ok(())
    }

    /// Empties the journal, durably: what is written next must not meet a rest of it.
    fn empty_journal(&mut self) -> Result<(), LedgerError> {
        let Some((file, len @ 1..)) = &mut self.journal else { return Ok(()) };
        let path = &self.place.journal;
        file.set_len(0).map_err(|source| LedgerError::io(path, "empty", source))?;
        *len = 0;
        file.sync_data().map_err(|source| LedgerError::not_durable(path, source))
    }

    /// Folds by copying the snapshot, and in memory no more than the rows the journal is about.
    /// `None` if the snapshot is not as this program wrote it, or the journal is about all rows: the clock was set.
    fn fold_rows(&self) -> Result<Option<u64>, LedgerError> {
        let Some(seen) = Seen::open(&self.place.snapshot)? else { return Ok(None) };
        let journal = Seen::open(&self.place.journal)?.map(|seen| seen.bytes()).transpose()?.unwrap_or_default();
        let Some(named) = journal::accounts(&journal) else { return Ok(None) };
        let Some(part) = seen.ledger(Some(&named))? else { return Ok(None) };
        let mark = mark_of(Some(&part));
        let (part, good_len) = replay(&self.place, &journal, Some(part), Some(self.owner))?;
        let mut part = self.as_lived_through(Some(part))?;
        // First the log, then the snapshot that has it: what neither has is still in the journal.
        part.audit = audit::catch_up(&self.place, self.owner, &mark, &journal[..good_len])?;
        drop(journal);
        self.place.write_snapshot(|out| snapshot::lines::merge(seen.reader()?, &part, &named, out)).map(Some)
    }

    /// What was read back, if it is what was written; less what no window reaches any more.
    fn as_lived_through(&self, found: Option<Ledger>) -> Result<Ledger, LedgerError> {
        let Some(mut ledger) = found.filter(|ledger| ledger.serial == self.serial) else {
            let what = format!("it does not end with record {}", self.serial);
            return Err(LedgerError::Disturbed { path: self.place.journal.clone(), what });
        };
        ledger.forget_before(ledger.last_request());
        Ok(ledger)
    }

    /// Leaves the snapshot whole by itself.
    fn finish(mut self) -> Result<(), LedgerError> {
        self.fold()?;
        match self.journal.take() {
            Some(_) => self.place.remove_journal(),
            None => Ok(()),
        }
    }
}
