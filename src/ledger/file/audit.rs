//! The audit log on disk: brought up to date before a fold, and read beside a running daemon.
//!
//! In: where the log stood when the snapshot was written, and the journal that came since. Out: where it stands now
//! ([`catch_up`]); or every acknowledged PUT, and whether anybody edited that record ([`history`]).
//!
//! Until a fold the journal is the truth, and no PUT pays for the log. A fold appends what the journal acknowledges and
//! the log does not have, syncs it, and only then publishes the snapshot that remembers the log's last hash. So behind
//! that hash there is never more than the journal still holds: a crash leaves a part of it, which is written anew.
//! Invariants: nothing that somebody else wrote is overwritten, but moved aside; a log that is gone, cut or edited is
//! told about and keeps nobody from working. Absent by design: rotation; an operator moves the file away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use tracing::warn;

use super::place::{Place, open};
use super::{LedgerError, READ_ATTEMPTS, READ_PAUSE, TORN_KEPT, look_beside};
use crate::account::printable::path as shown;
use crate::ledger::audit::{Chain, Entry, Head, LINE_MAX, Mark, is_leftover, line_end, lines, own_hash};
use crate::ledger::{Owner, journal};

/// Appends what the journal's lines acknowledge and the log does not have, durably. Returns where the log stands, if
/// there is one.
pub(super) fn catch_up(place: &Place, owner: Owner, mark: &Mark, journal: &[u8]) -> Result<Option<Mark>, LedgerError> {
    let entries = journal::entries(journal, mark.seq);
    let mut log = Log::open(place)?;
    let most = lines(&entries, "").0.len() + 2 * LINE_MAX;
    let (base, chain) = log.as_mut().map_or(Ok((0, None)), |log| log.find(owner, mark, most))?;
    let (bytes, now) = continuation(chain, Head::new(owner, mark, None), &entries);
    let tail = log.as_mut().map_or(Ok(Vec::new()), |log| log.read(base, bytes.len() as u64 + 1))?;
    let is_foreign = !is_leftover(&tail, &bytes);
    if is_foreign || base == 0 && mark.hash().is_some() {
        tell(place, mark, is_foreign);
    }
    if entries.is_empty() {
        return Ok(mark.hash().map(|_| mark.clone()));
    }
    if is_foreign {
        let aside = shown(&move_aside(place, mark.seq)?);
        let because = format!("the audit log before this one did not fit the ledger, and was kept as {aside}");
        let (bytes, now) = continuation(None, Head::new(owner, mark, Some(&because)), &entries);
        append(place, None, &bytes)?;
        return Ok(Some(now));
    }
    if !bytes.starts_with(&tail) {
        keep_torn(place, &tail, mark)?;
    }
    append(place, log.map(|_| base), &bytes)?;
    Ok(Some(now))
}

/// What follows in the log behind `chain`, or behind a new `head`; and where the log then stands.
fn continuation(chain: Option<Chain>, head: Head, entries: &[Entry]) -> (Vec<u8>, Mark) {
    let (mut bytes, Mark { after, seq, hash }) = match chain {
        Some(chain) => (Vec::new(), chain.mark()),
        None => {
            let (line, hash) = head.line();
            (line, Mark { after: head.after, seq: head.after, hash })
        }
    };
    let (more, hash) = lines(entries, &hash);
    bytes.extend_from_slice(&more);
    (bytes, Mark { after, seq: entries.last().map_or(seq, |entry| entry.seq), hash })
}

fn tell(place: &Place, mark: &Mark, is_foreign: bool) {
    let what = if is_foreign { "it was cut, edited, or is another ledger's" } else { "it is gone, or was moved away" };
    warn!(
        audit = %shown(&place.audit), record = mark.seq, hash = &*mark.hash,
        "the audit log does not go on where the ledger left it: {what}; a new one begins after that record"
    );
}

fn keep_torn(place: &Place, tail: &[u8], mark: &Mark) -> Result<(), LedgerError> {
    match place.keep_torn("audit", tail, mark.seq, TORN_KEPT) {
        Ok(copy) => {
            warn!(audit = %shown(&place.audit), bytes = tail.len(), copy = %shown(&copy),
                "a crash tore off the audit log's end: it was written anew from the journal");
            Ok(())
        }
        Err(error) if error.passes() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Moves the log aside, to a name that nothing has.
fn move_aside(place: &Place, seq: u64) -> Result<PathBuf, LedgerError> {
    let folder = place.open_folder()?;
    let name = |n: u32| {
        let mut name = place.audit.clone().into_os_string();
        name.push(if n == 0 { format!(".aside-{seq}") } else { format!(".aside-{seq}.{n}") });
        PathBuf::from(name)
    };
    let aside = (0..).map(name).find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_default();
    fs::rename(&place.audit, &aside).map_err(|source| LedgerError::io(&place.audit, "move aside", source))?;
    place.sync_folder(&folder)?;
    Ok(aside)
}

/// Writes `bytes` behind the first `base` bytes of the log, or into a new one, and syncs them. What stood there may
/// never have reached the disk, and a sync that failed once is not believed the second time: it is written anew.
fn append(place: &Place, base: Option<u64>, bytes: &[u8]) -> Result<(), LedgerError> {
    let path = &place.audit;
    let folder = place.open_folder()?;
    let mut file = open(path, OpenOptions::new().append(true).create(base.is_none()))?;
    let at = base.unwrap_or(0);
    let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    if at + bytes.len() as u64 > limit {
        return Err(LedgerError::io(path, "write", io::ErrorKind::FileTooLarge.into()));
    }
    if file.metadata().map_err(|source| LedgerError::io(path, "look at", source))?.len() > at {
        file.set_len(at).map_err(|source| LedgerError::io(path, "cut", source))?;
    }
    if let Err(source) = file.write_all(bytes) {
        // What is left of it is a beginning of what comes next.
        let _ = file.set_len(at);
        return Err(LedgerError::io(path, "write", source));
    }
    file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;
    // Whoever made it before may not have lived to sync its name.
    if at == 0 { place.sync_folder(&folder) } else { Ok(()) }
}

/// A log that is read.
struct Log {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Log {
    fn open(place: &Place) -> Result<Option<Self>, LedgerError> {
        let path = place.audit.clone();
        let file = match open(&path, OpenOptions::new().read(true)) {
            Err(LedgerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let len = file.metadata().map_err(|source| LedgerError::io(&path, "look at", source))?.len();
        Ok(Some(Self { path, file, len }))
    }

    fn read(&mut self, from: u64, most: u64) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| (&self.file).take(most).read_to_end(&mut bytes));
        read.map_err(|source| LedgerError::io(&self.path, "read", source))?;
        Ok(bytes)
    }

    /// The end of the last line that the ledger knows of, and the chain as it stands there. Behind it there are no more
    /// than `most` bytes; (0, nothing) if it is not there.
    fn find(&mut self, owner: Owner, mark: &Mark, most: usize) -> Result<(u64, Option<Chain>), LedgerError> {
        let first = self.read(0, LINE_MAX as u64)?;
        let head = first.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let Ok(mut chain) = Chain::begin(head) else { return Ok((0, None)) };
        if chain.head.zoid != owner {
            return Ok((0, None));
        }
        if chain.head.follows(mark) {
            return Ok((head.len() as u64, Some(chain)));
        }
        let (Some(hash), true) = (mark.hash(), chain.head.after == mark.after) else { return Ok((0, None)) };
        let from = self.len.saturating_sub(most as u64);
        let window = self.read(from, most as u64)?;
        let needle = line_end(hash);
        let found = window.windows(needle.len()).rposition(|bytes| bytes == needle.as_bytes());
        let Some(end) = found.map(|at| at + needle.len()) else { return Ok((0, None)) };
        // That its hash is there proves nothing unless its bytes match.
        let begin = window[..end - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if own_hash(&window[begin..end]).is_none() {
            return Ok((0, None));
        }
        (chain.seq, chain.hash) = (mark.seq, hash.into());
        Ok((from + end as u64, Some(chain)))
    }
}

/// What is known of all that was ever acknowledged.
#[derive(Debug, Default)]
pub struct History {
    /// The PUTs that were asked for, oldest first.
    pub entries: Vec<Entry>,
    /// The log's first line, if there is a log.
    pub head: Option<Head>,
    /// How many records the log holds.
    pub logged: usize,
    /// How many records only the journal holds as yet.
    pub unfolded: usize,
    /// Where the ledger's snapshot remembers the log to have stood; nothing if there is no snapshot, or no log yet.
    pub remembered: Option<Mark>,
    /// Where the chain stands, the journal's records included.
    pub last: Option<Mark>,
    /// The first thing that is not as it was written: which line of the log, and why.
    pub fault: Option<(usize, String)>,
}

/// Reads the audit log and what of the journal is not in it yet, without taking the lock; of the entries, those that
/// are `wanted`. Whatever was edited is told in [`History::fault`], and what cannot have been written is not listed.
/// Blocks on the disk.
///
/// # Errors
/// If the ledger is refused, or a file cannot be read.
pub fn history(path: &std::path::Path, wanted: &dyn Fn(&Entry) -> bool) -> Result<History, LedgerError> {
    let place = Place::resolve(path)?;
    let mut attempts = 1;
    loop {
        let history = read(&place, wanted)?;
        // A running daemon folded between the reads; or it is the truth, ten times over.
        if history.fault.is_none() || attempts == READ_ATTEMPTS {
            return Ok(history);
        }
        attempts += 1;
        std::thread::sleep(READ_PAUSE);
    }
}

fn read(place: &Place, wanted: &dyn Fn(&Entry) -> bool) -> Result<History, LedgerError> {
    // The journal first: what a fold takes out of it is in the log before.
    let found = look_beside(place, None)?;
    let mut reading = Reading {
        history: History {
            remembered: Some(found.mark.clone()).filter(|mark| mark.hash().is_some()),
            ..History::default()
        },
        owner: found.ledger.as_ref().map(|ledger| ledger.owner),
        has_reached: false,
        due: journal::entries(found.lines(), found.mark.seq).into(),
        mark: found.mark,
        chain: None,
        wanted,
    };
    if let Some(log) = Log::open(place)? {
        let mut source = BufReader::with_capacity(LINE_MAX, log.file);
        for number in 1.. {
            let mut line = Vec::new();
            let read = (&mut source).take(LINE_MAX as u64).read_until(b'\n', &mut line);
            match read.map_err(|source| LedgerError::io(&log.path, "read", source))? {
                0 => break,
                _ => reading.line(number, &line),
            }
            reading.history.logged = number - 1;
        }
    }
    Ok(reading.end())
}

/// The log, as far as it is read.
struct Reading<'a> {
    history: History,
    owner: Option<Owner>,
    mark: Mark,
    /// Whether the line that the snapshot remembers was there.
    has_reached: bool,
    /// What the journal acknowledges and was not in the log yet.
    due: std::collections::VecDeque<Entry>,
    chain: Option<Chain>,
    wanted: &'a dyn Fn(&Entry) -> bool,
}

impl Reading<'_> {
    fn fault(&mut self, line: usize, why: &str) {
        self.history.fault.get_or_insert_with(|| (line, why.to_owned()));
    }

    fn list(&mut self, entry: Entry) {
        if (self.wanted)(&entry) {
            self.history.entries.push(entry);
        }
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        if number == 1 {
            return self.head(line);
        }
        let Some(chain) = &mut self.chain else { return };
        let (is_behind, before) = (self.has_reached, chain.hash.clone());
        match chain.follow(line) {
            // A crash left a part of what the journal holds.
            Err(_) if is_behind && !self.due.is_empty() && own_hash(line).is_none() => {}
            Err(why) => {
                self.fault(number, why);
                // Moved, but written: an auditor wants to see it.
                if let Some(entry) = own_hash(line).and_then(|_| serde_json::from_slice(line).ok()) {
                    self.list(entry);
                }
            }
            Ok(entry) => {
                if is_behind && self.due.pop_front().is_none_or(|due| due.line(&before).0 != line) {
                    self.fault(number, "the ledger knows nothing of this record, which nobody but it writes");
                }
                self.has_reached |= (self.mark.seq, self.mark.hash()) == (entry.seq, Some(&*self.chain_hash()));
                self.list(entry);
            }
        }
    }

    fn chain_hash(&self) -> Box<str> {
        self.chain.as_ref().map(|chain| chain.hash.clone()).unwrap_or_default()
    }

    fn head(&mut self, line: &[u8]) {
        match Chain::begin(line) {
            Err(_) if self.mark.hash().is_none() && !self.due.is_empty() && own_hash(line).is_none() => {}
            Err(why) => self.fault(1, why),
            Ok(chain) => {
                let head = chain.head.clone();
                if self.owner.is_some_and(|owner| owner != head.zoid) {
                    self.fault(1, "it is the log of another organization");
                } else if head.follows(&self.mark) {
                    self.has_reached = true;
                } else if head.after != self.mark.after && self.owner.is_some() {
                    self.fault(
                        1,
                        &format!("it begins after record {}, and the ledger remembers {}", head.after, self.mark.after),
                    );
                }
                if let Some(because) = &head.because {
                    self.fault(1, because);
                }
                self.history.head = Some(head);
                self.chain = Some(chain);
            }
        }
    }

    fn end(mut self) -> History {
        if !self.has_reached && self.mark.hash().is_some() {
            let why = format!("record {}, the last one that the ledger saw in it, is not there", self.mark.seq);
            self.fault(self.history.logged + 1, &why);
        }
        self.history.logged =
            self.history.logged.max(usize::from(self.chain.is_some())) - usize::from(self.chain.is_some());
        self.history.unfolded = self.due.len();
        let (after, seq) =
            self.chain.as_ref().map_or((self.mark.seq, self.mark.seq), |chain| (chain.head.after, chain.seq));
        let due: Vec<_> = self.due.drain(..).collect();
        let (_, hash) = lines(&due, &self.chain_hash());
        self.history.last = Some(Mark { after, seq: due.last().map_or(seq, |entry| entry.seq), hash });
        due.into_iter().for_each(|entry| self.list(entry));
        self.history
    }
}
