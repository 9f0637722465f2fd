//! The audit log on disk: brought up to date before a fold.
//!
//! In: where the log stood when the snapshot was written, and the journal that came since. Out: where it stands now
//! ([`catch_up`]).
//!
//! Until a fold the journal is the truth, and no PUT pays for the log. A fold appends what the journal acknowledges and
//! the log does not have, syncs it, and only then publishes the snapshot that remembers the log's last hash. So behind
//! that hash there is never more than the journal still holds: a crash leaves a part of it, which is written anew.
//! Invariants: nothing that somebody else wrote is overwritten, but moved aside; a log that is gone, cut or edited is
//! told about and keeps nobody from working. Absent by design: rotation; an operator moves the file away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use tracing::warn;

use super::place::{Place, open};
use super::{LedgerError, TORN_KEPT};
use crate::account::printable::path as shown;
use crate::ledger::audit::{Chain, Entry, Head, LINE_MAX, Mark, is_leftover, line_end, lines, own_hash};
use crate::ledger::{Owner, journal};

/// What a look at the log found.
pub(super) struct Survey {
    /// How much of it the snapshot knows.
    base: u64,
    /// What belongs behind that, and where the log stands then.
    due: (Vec<u8>, Mark),
    /// What is there.
    tail: Vec<u8>,
    entries: Vec<Entry>,
}

impl Survey {
    /// Whether what is there is more than a crash left of what is due.
    fn is_foreign(&self) -> bool {
        !is_leftover(&self.tail, &self.due.0)
    }
}

/// Looks at the log, and says so if it is not as the ledger left it. Writes nothing: until a fold, what it lacks is in the
/// journal.
pub(super) fn survey(place: &Place, owner: Owner, mark: &Mark, journal: &[u8]) -> Result<Survey, LedgerError> {
    let entries = journal::entries(journal, mark.seq);
    let mut log = Log::open(place)?;
    let most = lines(&entries, "").0.len() + 2 * LINE_MAX;
    let (base, chain) = log.as_mut().map_or(Ok((0, None)), |log| log.find(owner, mark, most))?;
    let is_gone = base == 0 && chain.is_none() && mark.hash().is_some();
    // What was begun after the snapshot is begun anew, its name included.
    let (head, chain) = match chain {
        Some(chain) if base == 0 => (chain.head, None),
        chain => (Head::new(owner, mark, None), chain),
    };
    let due = continuation(chain, head, &entries);
    let tail = log.as_mut().map_or(Ok(Vec::new()), |log| log.read(base, due.0.len() as u64 + 1))?;
    let survey = Survey { base, due, tail, entries };
    if survey.is_foreign() || is_gone {
        tell(place, mark, survey.is_foreign());
    }
    Ok(survey)
}

/// Appends what the journal's lines acknowledge and the log does not have, durably. Returns where the log stands, if
/// there is one.
pub(super) fn catch_up(place: &Place, owner: Owner, mark: &Mark, journal: &[u8]) -> Result<Option<Mark>, LedgerError> {
    let survey = survey(place, owner, mark, journal)?;
    let is_foreign = survey.is_foreign();
    let Survey { base, due: (bytes, now), tail, entries } = survey;
    if entries.is_empty() {
        return Ok(mark.hash().map(|_| mark.clone()));
    }
    if is_foreign {
        let aside = shown(&move_aside(place, mark.seq)?);
        let because = format!("the audit log before this one did not fit the ledger, and was kept as {aside}");
        let (bytes, now) = continuation(None, Head::new(owner, mark, Some(&because)), &entries);
        append(place, 0, &bytes)?;
        return Ok(Some(now));
    }
    if !bytes.starts_with(&tail) {
        keep_torn(place, &tail, mark)?;
    }
    append(place, base, &bytes)?;
    Ok(Some(now))
}

/// What follows in the log behind `chain`, or behind a new `head`; and where the log then stands.
pub(super) fn continuation(chain: Option<Chain>, head: Head, entries: &[Entry]) -> (Vec<u8>, Mark) {
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
fn append(place: &Place, base: u64, bytes: &[u8]) -> Result<(), LedgerError> {
    let path = &place.audit;
    let folder = place.open_folder()?;
    if base == 0 {
        place.remove_audit()?;
    }
    let mut file = open(path, OpenOptions::new().append(true).create(base == 0))?;
    let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    if base + bytes.len() as u64 > limit {
        return Err(LedgerError::io(path, "write", io::ErrorKind::FileTooLarge.into()));
    }
    if file.metadata().map_err(|source| LedgerError::io(path, "look at", source))?.len() > base {
        file.set_len(base).map_err(|source| LedgerError::io(path, "cut", source))?;
    }
    if let Err(source) = file.write_all(bytes) {
        // What is left of it is a beginning of what comes next.
        let _ = file.set_len(base);
        return Err(LedgerError::io(path, "write", source));
    }
    file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;
    if base == 0 { place.sync_folder(&folder) } else { Ok(()) }
}

/// A log that is read.
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file: File,
    len: u64,
}

impl Log {
    pub(super) fn open(place: &Place) -> Result<Option<Self>, LedgerError> {
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
    /// than `most` bytes. 0, if the log was begun after the snapshot was written; then with its head, or with nothing
    /// if that line is not there.
    fn find(&mut self, owner: Owner, mark: &Mark, most: usize) -> Result<(u64, Option<Chain>), LedgerError> {
        let first = self.read(0, LINE_MAX as u64)?;
        let head = first.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let Ok(mut chain) = Chain::begin(head) else { return Ok((0, None)) };
        if chain.head.zoid != owner {
            return Ok((0, None));
        }
        if chain.head.follows(mark) {
            return Ok((0, Some(chain)));
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
