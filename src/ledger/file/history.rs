//! The audit log read beside a running daemon, and held against the ledger.
//!
//! In: the files as they are. Out: [`History`]: every acknowledged PUT, and the first thing that somebody edited.
//! Invariants: nothing is locked or written; each record is told once, whatever a fold moves meanwhile, for the journal
//! is read before the log; behind the line that the snapshot remembers the log says what the journal says, or a
//! beginning of it, as a crash leaves it. Absent by design: what is damaged beyond the log; [`super::read`] refuses it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::audit::{Log, continuation};
use super::place::Place;
use super::{Found, LedgerError, READ_PAUSE, look_beside};
use crate::ledger::audit::{Chain, Entry, Head, LINE_MAX, Mark, is_leftover, own_hash};
use crate::ledger::{Owner, journal};

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
/// are `wanted`. What was edited is told in [`History::fault`]; a line that its own hash contradicts is not listed.
/// Blocks on the disk.
///
/// # Errors
/// If the ledger is refused, or a file cannot be read.
pub fn history(path: &Path, wanted: &dyn Fn(&Entry) -> bool) -> Result<History, LedgerError> {
    let place = Place::resolve(path)?;
    let mut before = None;
    for _ in 1..ATTEMPTS {
        let found = look_beside(&place, None)?;
        let seen = (found.mark.clone(), found.journal.len());
        let history = read(&place, found, wanted)?;
        // A running daemon may have folded between the reads. If nothing has moved since the last look, it is the truth.
        if history.fault.is_none() || before.as_ref() == Some(&seen) {
            return Ok(history);
        }
        before = Some(seen);
        std::thread::sleep(READ_PAUSE);
    }
    read(&place, look_beside(&place, None)?, wanted)
}

/// How often the files are looked at while a daemon keeps moving them: a second, for what is done in milliseconds.
const ATTEMPTS: usize = 100;

/// `found` is the ledger, read before the log is: what a fold takes out of the journal is in the log before.
fn read(place: &Place, found: Found, wanted: &dyn Fn(&Entry) -> bool) -> Result<History, LedgerError> {
    let due = journal::entries(found.lines(), found.mark.seq);
    let owner = found.ledger.as_ref().map(|ledger| ledger.owner);
    let history =
        History { remembered: Some(found.mark.clone()).filter(|mark| mark.hash().is_some()), ..History::default() };
    let mut reading = Reading { history, owner, mark: found.mark, number: 0, chain: None, has_seen: false, wanted };
    let Some(log) = Log::open(place)? else { return Ok(reading.end(&due)) };
    let failed = |source| LedgerError::io(&log.path, "read", source);
    let mut source = BufReader::with_capacity(LINE_MAX, &log.file);
    while !reading.has_arrived() {
        let mut line = Vec::new();
        if (&mut source).take(LINE_MAX as u64).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        if reading.number == 0
            && own_hash(&line).is_none()
            && reading.is_torn_beginning(&line, &mut source, &due).map_err(failed)?
        {
            return Ok(reading.end(&due));
        }
        reading.line(&line);
    }
    reading.has_seen = reading.has_arrived();
    let mut rest = Vec::new();
    source.read_to_end(&mut rest).map_err(failed)?;
    let known = reading.rest(&rest, &due);
    Ok(reading.end(&due[known..]))
}

/// The log, as far as it is read.
struct Reading<'a> {
    history: History,
    owner: Option<Owner>,
    mark: Mark,
    /// Of the last line.
    number: usize,
    chain: Option<Chain>,
    /// Whether the line that the snapshot remembers was there.
    has_seen: bool,
    wanted: &'a dyn Fn(&Entry) -> bool,
}

impl Reading<'_> {
    fn fault(&mut self, why: &str) {
        let line = self.number;
        self.history.fault.get_or_insert_with(|| (line, why.to_owned()));
    }

    fn list(&mut self, entry: Entry) {
        if (self.wanted)(&entry) {
            self.history.entries.push(entry);
        }
    }

    /// Whether the last line is the one that the snapshot remembers: what follows is what the journal holds.
    fn has_arrived(&self) -> bool {
        self.chain.as_ref().is_some_and(|chain| {
            let is_begun = self.number == 1 && chain.head.follows(&self.mark);
            is_begun || (chain.seq, Some(&*chain.hash)) == (self.mark.seq, self.mark.hash())
        })
    }

    fn line(&mut self, line: &[u8]) {
        self.number += 1;
        if self.number == 1 {
            return self.head(line);
        }
        self.history.logged += 1;
        let followed = self.chain.as_mut().map(|chain| chain.follow(line));
        match followed {
            Some(Ok(entry)) => self.list(entry),
            Some(Err(why)) => {
                self.fault(why);
                self.list_if_written(line);
            }
            None => self.list_if_written(line),
        }
    }

    /// Moved, or after an edit: but written once, and an auditor wants to see it.
    fn list_if_written(&mut self, line: &[u8]) {
        if let Some(entry) = own_hash(line).and_then(|_| serde_json::from_slice(line).ok()) {
            self.list(entry);
        }
    }

    fn head(&mut self, line: &[u8]) {
        let chain = match Chain::begin(line) {
            Ok(chain) => chain,
            Err(why) => return self.fault(why),
        };
        let Head { zoid, after, because, .. } = &chain.head;
        if self.owner.is_some_and(|owner| owner != *zoid) {
            self.fault("it is the log of another organization");
        } else if self.owner.is_some() && !chain.head.follows(&self.mark) && *after != self.mark.after {
            self.fault(&format!("it begins after record {after}, and the ledger remembers {}", self.mark.after));
        } else if let Some(because) = because {
            self.fault(because);
        }
        self.history.head = Some(chain.head.clone());
        self.chain = Some(chain);
    }

    /// Whether a log without a whole first line is what a crash left of one that was just begun.
    fn is_torn_beginning(&self, line: &[u8], source: &mut impl Read, due: &[Entry]) -> std::io::Result<bool> {
        let Some(owner) = self.owner.filter(|_| !due.is_empty()) else { return Ok(false) };
        let (expected, _) = continuation(None, Head::new(owner, &self.mark, None), due);
        let mut found = line.to_vec();
        source.take(expected.len() as u64 + 1).read_to_end(&mut found)?;
        Ok(is_leftover(&found, &expected))
    }

    /// What stands behind the line that the snapshot remembers. Returns how much of what is `due` it holds.
    fn rest(&mut self, rest: &[u8], due: &[Entry]) -> usize {
        let Some(chain) = self.chain.clone() else { return 0 };
        let (expected, _) = continuation(Some(chain), Head::new(self.mark_owner(), &self.mark, None), due);
        let lines = || rest.split_inclusive(|byte| *byte == b'\n');
        if is_leftover(rest, &expected) {
            let same =
                lines().zip(expected.split_inclusive(|byte| *byte == b'\n')).take_while(|(found, due)| found == due);
            let known = same.count();
            lines().take(known).for_each(|line| self.line(line));
            return known;
        }
        let mut expected = expected.split_inclusive(|byte| *byte == b'\n');
        let (mut known, mut is_known) = (0, true);
        for line in lines() {
            self.line(line);
            is_known = is_known && expected.next() == Some(line);
            known += usize::from(is_known);
            if !is_known {
                self.fault("the ledger knows nothing of this record, and nobody else writes here");
            }
        }
        known
    }

    fn mark_owner(&self) -> Owner {
        self.owner.or_else(|| self.chain.as_ref().map(|chain| chain.head.zoid)).unwrap_or(Owner::User)
    }

    /// With what is only in the journal as yet.
    fn end(mut self, due: &[Entry]) -> History {
        if self.mark.hash().is_some() && !self.has_seen {
            self.number += 1;
            let seq = self.mark.seq;
            self.fault(&format!("record {seq}, the last one that the ledger saw in it, is not there"));
        }
        self.history.unfolded = due.len();
        let head = || Head::new(self.mark_owner(), &self.mark, None);
        if self.chain.is_some() || !due.is_empty() {
            self.history.last = Some(continuation(self.chain.clone(), head(), due).1);
        }
        due.iter().for_each(|entry| self.list(entry.clone()));
        self.history
    }
}
