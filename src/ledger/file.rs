//! The ledger on disk: snapshot, journal, lock, and the one thread that writes them.
//!
//! In: [`Record`]s from the controller, in the order in which it applies them to its own value.
//! Out: that value at start ([`LedgerFile::open`], [`read`]), and a [`Committed`] for every group
//! of records that is durable.
//!
//! Beside `ledger.json` stand `ledger.json.journal` (what came since), `ledger.json.lock` (keeps a
//! second process out; never renamed, never removed, for a lock on a file that is renamed over
//! stops excluding) and, after a crash, perhaps a few `ledger.json.journal.torn-<serial>`. A *fold*
//! rewrites the snapshot from what is on the disk and empties the journal; it happens when the
//! journal has grown to a part of the snapshot, on request, and at a clean stop.
//!
//! Invariants: `Durable` is said after the sync, never before; a group is begun when the one
//! before it is durable; at any kill or power cut the files hold every record that was said to be
//! durable; what is damaged, newer or foreign is refused and left as it is; a run that appends
//! nothing writes nothing but the lock; the work for one record does not grow with the ledger
//! (folds are as rare as they are large), and neither does the memory of a fold. Absent by design:
//! the controller's value, which is not shared with the writer, and any wall clock.

mod audit;
mod error;
mod history;
mod lock;
mod place;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

pub use self::error::LedgerError;
pub use self::history::{History, history};
use self::lock::Lock;
pub use self::lock::{Holder, holder, was_held};
use self::place::{Place, Seen};
use self::writer::{Command, Writer};
use super::audit::Mark;
use super::{Ledger, Owner, Record, journal, snapshot};

/// How often the files are looked at before a reader gives up on catching them between two folds.
/// A fold moves them for microseconds, and two are far apart.
const READ_ATTEMPTS: usize = 10;

/// How long a reader waits before it looks again.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// How many torn tails are kept beside the journal, for whoever wants to know what was lost.
const TORN_KEPT: usize = 3;

/// What the writer has to say. When its channel ends without [`LedgerFile::close`], the writer
/// has died: the same as [`Committed::Fatal`].
#[derive(Debug)]
pub enum Committed {
    /// All records of one [`LedgerFile::append`] are on the disk, and all that came before them.
    Durable {
        /// What was given to `append`.
        ticket: u64,
        /// What it took to write and sync the group they were in; zero for no records.
        took: Duration,
    },
    /// There is no room, or the like. Nothing was lost and nothing is durable; requests must stop. The writer
    /// keeps what it has and tries again by itself.
    Stopped {
        /// What could not be done, and why.
        error: LedgerError,
    },
    /// It can be written again. The `Durable`s that were due follow.
    Resumed,
    /// What is on the disk is not known any more: the process must exit and read it again.
    Fatal(LedgerError),
}

/// A ledger that this process alone may write. Dropping it writes what was appended and releases
/// the lock (and blocks until then); only [`LedgerFile::close`] leaves the snapshot whole by itself.
#[derive(Debug)]
pub struct LedgerFile {
    /// `None` once the writer was told to end.
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<JoinHandle<Result<(), LedgerError>>>,
    place: Place,
}

impl LedgerFile {
    /// Locks and reads the ledger, mends what a crash left (a torn tail is copied beside the
    /// journal, then cut), and starts the writer. `committed` is bounded by what is appended.
    /// Blocks on the disk.
    pub fn open(
        path: &Path,
        owner: Owner,
        committed: UnboundedSender<Committed>,
    ) -> Result<(Self, Ledger), LedgerError> {
        let place = Place::resolve(path)?;
        place.check_writable()?;
        let lock = Lock::take(&place)?;
        let found = look(&place, Some(owner))?;
        place.remove_temp()?;
        let journal = mend(&place, &found)?;
        // What it lacks is in the journal, and a fold brings it up to date: nobody waits for it.
        if let Err(error) = audit::survey(&place, owner, &found.mark, found.lines()) {
            tracing::warn!(%error, source = std::error::Error::source(&error), "the audit log cannot be read");
        }
        let (commands, received) = mpsc::channel();
        let ledger = found.ledger.unwrap_or_else(|| Ledger::new(owner));
        let snapshot_len = found.snapshot_len;
        let writer = Writer::new((place.clone(), lock), owner, ledger.serial, journal, snapshot_len, committed);
        let writer = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&received))
            .map_err(|source| LedgerError::io(&place.snapshot, "start the writer of", source))?;
        Ok((Self { commands: Some(commands), writer: Some(writer), place }, ledger))
    }

    /// Hands over records to be written, in this order and after all before them; returns at once.
    /// They are numbered on from the ledger's serial: apply the same ones to the value, in the
    /// same order. Everything handed over while a group is being written makes the next group.
    ///
    /// The queue is bounded by its feeder: one intent and one outcome for each request in flight.
    /// An append after [`Committed::Fatal`] goes nowhere, and no `Durable` follows.
    pub fn append(&self, records: Vec<Record>, ticket: u64) {
        self.send(Command::Append { records, ticket });
    }

    /// Has those that look at the ledger know with which `options`, on one line, this process runs: before all else that it
    /// hands over.
    pub fn announce(&self, options: String) {
        self.send(Command::Announce(options.into()));
    }

    /// Asks for a fold once what was appended before is durable. If it fails, the journal goes on.
    /// The snapshot forgets what no window reaches any more, as of the last request in it.
    pub fn fold(&self) {
        self.send(Command::Fold);
    }

    /// Writes what was appended, folds, and removes the journal. Blocks on the disk. After an
    /// error everything that was said to be durable still is, in the journal.
    pub fn close(mut self) -> Result<(), LedgerError> {
        self.send(Command::Close);
        self.end()
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(command); // a writer that ended has said why
        }
    }

    fn end(&mut self) -> Result<(), LedgerError> {
        self.commands = None;
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_panic)) => Err(LedgerError::Closed { path: self.place.snapshot.clone() }),
        }
    }
}

impl Drop for LedgerFile {
    /// Waits for the writer, so that whoever opens the ledger next finds it unlocked.
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the ledger was left without a clean stop");
        }
    }
}

/// Reads a ledger that may be in use: takes no lock, writes nothing, and sees it as it was after
/// some whole number of records. `None` if there is none yet. Blocks on the disk.
pub fn read(path: &Path, expected: Option<Owner>) -> Result<Option<Ledger>, LedgerError> {
    Ok(look_beside(&Place::resolve(path)?, expected)?.ledger)
}

/// [`look`], beside a daemon that may be folding.
fn look_beside(place: &Place, expected: Option<Owner>) -> Result<Found, LedgerError> {
    let mut attempts = 1;
    loop {
        let stamps = place.stamps();
        match look(place, expected) {
            // A running daemon folded between the two reads. Where no file moved meanwhile, it is the truth.
            Err(LedgerError::Damaged { .. } | LedgerError::Disturbed { .. })
                if attempts < READ_ATTEMPTS && place.stamps() != stamps =>
            {
                attempts += 1;
                std::thread::sleep(READ_PAUSE);
            }
            found => return found,
        }
    }
}

/// What is on the disk.
struct Found {
    ledger: Option<Ledger>,
    snapshot_len: Option<u64>,
    journal: Vec<u8>,
    good_len: usize,
    /// Where the audit log stood when the snapshot was written.
    mark: Mark,
}

impl Found {
    /// The journal's whole lines.
    fn lines(&self) -> &[u8] {
        &self.journal[..self.good_len]
    }
}

/// Where the audit log stood when this snapshot was written.
fn mark_of(snapshot: Option<&Ledger>) -> Mark {
    let remembered = snapshot.and_then(|ledger| ledger.audit.clone());
    remembered.unwrap_or_else(|| Mark::fresh(snapshot.map_or(0, |ledger| ledger.serial)))
}

/// Reads snapshot and journal. The journal is emptied after the snapshot is replaced: if the
/// snapshot is still the same one afterwards, the journal that was read is the one that belongs to it.
fn look(place: &Place, expected: Option<Owner>) -> Result<Found, LedgerError> {
    let seen = Seen::open(&place.snapshot)?;
    let snapshot_len = seen.as_ref().map(|seen| seen.len);
    let ledger = seen.as_ref().map(|seen| parse(place, seen, expected)).transpose()?;
    let journal = Seen::open(&place.journal)?.map(|seen| seen.bytes()).transpose()?;
    let moved = match &seen {
        Some(seen) => !seen.is_still_there(),
        None => place.snapshot.exists(),
    };
    if moved {
        let what = "it was replaced while it was read".to_owned();
        return Err(LedgerError::Disturbed { path: place.snapshot.clone(), what });
    }
    let mark = mark_of(ledger.as_ref());
    let Some(journal) = journal else {
        return Ok(Found { ledger, snapshot_len, journal: Vec::new(), good_len: 0, mark });
    };
    let (ledger, good_len) = replay(place, &journal, ledger, expected)?;
    Ok(Found { ledger: Some(ledger), snapshot_len, journal, good_len, mark })
}

fn parse(place: &Place, seen: &Seen<'_>, expected: Option<Owner>) -> Result<Ledger, LedgerError> {
    let ledger = match seen.ledger(None)? {
        Some(ledger) => ledger,
        // Edited by hand, or damaged: reading all of it at once tells which.
        None => {
            snapshot::parse(&seen.bytes()?).map_err(|fault| LedgerError::fault(&place.snapshot, fault, expected))?
        }
    };
    check_owner(&place.snapshot, ledger.owner, expected)?;
    Ok(ledger)
}

/// The ledger after its journal, and how much of the journal is whole.
fn replay(
    place: &Place,
    bytes: &[u8],
    ledger: Option<Ledger>,
    expected: Option<Owner>,
) -> Result<(Ledger, usize), LedgerError> {
    let owner = ledger.as_ref().map(|ledger| ledger.owner).or(expected);
    let replayed = journal::replay(bytes, ledger).map_err(|fault| LedgerError::fault(&place.journal, fault, owner))?;
    let Some(ledger) = replayed.ledger else {
        let what = "it is missing, yet the journal that was made after it is there".to_owned();
        return Err(LedgerError::Damaged { path: place.snapshot.clone(), what });
    };
    check_owner(&place.journal, ledger.owner, expected)?;
    Ok((ledger, replayed.good_len))
}

fn check_owner(path: &Path, found: Owner, expected: Option<Owner>) -> Result<(), LedgerError> {
    match expected {
        Some(expected) if expected != found => Err(LedgerError::Foreign { path: path.to_owned(), found, expected }),
        _ => Ok(()),
    }
}

/// Finishes what a crash interrupted, so that the journal can be appended to. Returns it and its length.
fn mend(place: &Place, found: &Found) -> Result<Option<(File, u64)>, LedgerError> {
    if found.journal.is_empty() {
        // The sync of its name may have failed: a new one's will tell.
        place.remove_journal()?;
        return Ok(None);
    }
    let file = place.open_journal()?;
    let tail = &found.journal[found.good_len..];
    if !tail.is_empty() {
        let serial = found.ledger.as_ref().map_or(0, |ledger| ledger.serial);
        match place.keep_torn("journal", tail, serial, TORN_KEPT) {
            Ok(copy) => tracing::warn!(
                journal = %place.journal.display(), bytes = tail.len(), serial, copy = %copy.display(),
                "a crash tore off the journal's end, none of which was acknowledged: it was cut"
            ),
            // A full disk is what tears tails; to start all the same is what tells about it.
            Err(error) if error.passes() => tracing::warn!(
                journal = %place.journal.display(), bytes = tail.len(), serial, %error,
                "a crash tore off the journal's end: it was cut, and no copy could be made"
            ),
            Err(error) => return Err(error),
        }
    }
    place.rewrite_journal(found.lines())?;
    Ok(Some((file, found.good_len as u64)))
}
