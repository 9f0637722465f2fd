//! Who changed what, when and why: one line for each PUT that the service acknowledged, and for each pause that an operator
//! lifted, chained by hashes.
//!
//! In: the journal's records of these, and what the log held before. Out: the lines that follow it; or, of lines that
//! were read, whether they are what was written ([`Chain`]).
//!
//! A line is a JSON object whose last key, `hash`, is the SHA-256 of the object without it; `prev` is the hash of the
//! line before. The first line says whose log this is and after which of the ledger's records it begins; a log that
//! goes on where another one ended names its last hash. So no line can be changed, added, moved or taken out unless all
//! that follow are made anew, and the last of them is remembered by the ledger's snapshot ([`Mark`]).
//!
//! Invariant: the same records behind the same line give the same bytes, so that what a crash left of them is
//! recognised and written again. Absent by design: files (see [`super::file`]), and keys: whoever may write the ledger
//! can make both anew, which only a copy elsewhere shows.

mod entry;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::entry::{AppliedPut, Audited, Entry, ForgottenAccount, LiftedPause};
use super::Owner;

/// The format of the audit log, which is not that of the ledger.
const API_VERSION: &str = "zoho-mail-reconciler/v1";

/// The head line's `kind`.
const KIND: &str = "AuditLog";

/// The longest line that is read, in bytes: a path of 4096 bytes, each of them escaped, and twice as much again.
pub const LINE_MAX: usize = 64 * 1024;

/// What stands before a line's hash.
const HASH_KEY: &str = ",\"hash\":\"";

/// What stands behind it.
const HASH_END: &str = "\"}\n";

/// Digits of a SHA-256 in hexadecimal.
const HASH_DIGITS: usize = 64;

/// Where a log stands: what the snapshot remembers of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Number of the ledger's record after which the file begins.
    pub after: u64,
    /// Number of the last record in it.
    pub seq: u64,
    /// The last line's hash; empty while nothing was ever written.
    pub hash: Box<str>,
}

impl Mark {
    /// No log yet; it will begin after the ledger's record `serial`.
    pub fn fresh(serial: u64) -> Self {
        Self { after: serial, seq: serial, hash: Box::default() }
    }

    /// The last hash, if there is one.
    pub fn hash(&self) -> Option<&str> {
        Some(&*self.hash).filter(|hash| !hash.is_empty())
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    api_version: Box<str>,
    kind: Box<str>,
    /// Whose log this is.
    pub zoid: Owner,
    /// Number of the ledger's record after which it begins.
    pub after: u64,
    /// The last hash of the log before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Box<str>>,
    /// What was wrong with the log before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Box<str>>,
}

impl Head {
    /// The head of a log that goes on where `mark` stands.
    pub fn new(zoid: Owner, mark: &Mark, because: Option<&str>) -> Self {
        let (prev, because) = (mark.hash().map(Into::into), because.map(Into::into));
        Self { api_version: API_VERSION.into(), kind: KIND.into(), zoid, after: mark.seq, prev, because }
    }

    /// Whether this begins where `mark` stands: then it was begun after the snapshot was written.
    pub fn follows(&self, mark: &Mark) -> bool {
        self.after == mark.seq && self.prev.as_deref() == mark.hash()
    }
}

impl Entry {
    /// This entry as the line behind the one with the hash `prev`; and its own hash.
    pub fn line(&self, prev: &str) -> (Vec<u8>, Box<str>) {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            entry: &'a Entry,
            prev: &'a str,
        }
        seal(&Line { entry: self, prev })
    }
}

/// The lines of `entries` behind the line with the hash `prev`, and the hash of the last one.
pub fn lines(entries: &[Entry], prev: &str) -> (Vec<u8>, Box<str>) {
    let (mut bytes, mut hash) = (Vec::new(), Box::from(prev));
    for entry in entries {
        let (line, next) = entry.line(&hash);
        bytes.extend_from_slice(&line);
        hash = next;
    }
    (bytes, hash)
}

impl Head {
    /// The line, and its hash.
    pub fn line(&self) -> (Vec<u8>, Box<str>) {
        seal(self)
    }
}

fn seal(value: &impl Serialize) -> (Vec<u8>, Box<str>) {
    let mut line = serde_json::to_vec(value).expect("a line has only string keys, and a Vec takes every byte");
    let hash = hash_of(&[&line]);
    line.pop(); // the closing brace: the hash is the last key
    line.extend_from_slice([HASH_KEY, &hash, HASH_END].concat().as_bytes());
    (line, hash)
}

fn hash_of(parts: &[&[u8]]) -> Box<str> {
    let sum = parts.iter().fold(Sha256::new(), |sum, part| sum.chain_update(part)).finalize();
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16);
    sum.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect::<String>().into()
}

/// How a line with this hash ends.
pub fn line_end(hash: &str) -> String {
    [HASH_KEY, hash, HASH_END].concat()
}

/// The hash of a line that is what was once written.
pub fn own_hash(line: &[u8]) -> Option<&str> {
    let body = line.len().checked_sub(HASH_KEY.len() + HASH_DIGITS + HASH_END.len())?;
    let (body, end) = line.split_at(body);
    let hash = std::str::from_utf8(&end[HASH_KEY.len()..][..HASH_DIGITS]).ok()?;
    (*hash == *hash_of(&[body, b"}"]) && end == line_end(hash).as_bytes()).then_some(hash)
}

/// A log, followed line by line.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The first line.
    pub head: Head,
    /// Number of the last record.
    pub seq: u64,
    /// The last line's hash.
    pub hash: Box<str>,
}

impl Chain {
    /// Begins with the first line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn begin(line: &[u8]) -> Result<Self, &'static str> {
        let hash = own_hash(line).ok_or(CHANGED)?;
        let head: Head = serde_json::from_slice(line).map_err(|_| "it is not the head of an audit log")?;
        if (&*head.api_version, &*head.kind) != (API_VERSION, KIND) {
            return Err("it is not the head of an audit log of this version");
        }
        Ok(Self { seq: head.after, hash: hash.into(), head })
    }

    /// Goes on with the next line.
    ///
    /// # Errors
    /// Why it cannot be the one that was written here. The chain then stays where it was.
    pub fn follow(&mut self, line: &[u8]) -> Result<Entry, &'static str> {
        #[derive(Deserialize)]
        struct Prev<'a> {
            prev: &'a str,
        }
        let hash = own_hash(line).ok_or(CHANGED)?;
        let Prev { prev } = serde_json::from_slice(line).map_err(|_| "it is not a record")?;
        let entry: Entry = serde_json::from_slice(line).map_err(|_| "it is not a record of this version")?;
        if *prev != *self.hash || entry.seq <= self.seq {
            return Err("it does not follow the line before it: lines were taken out, added or moved");
        }
        self.seq = entry.seq;
        self.hash = hash.into();
        Ok(entry)
    }

    /// Where it stands.
    pub fn mark(&self) -> Mark {
        Mark { after: self.head.after, seq: self.seq, hash: self.hash.clone() }
    }
}

/// A line is not what was once written.
const CHANGED: &str = "its bytes changed after they were written: they do not match its hash";

/// Whether `found` is what a crash leaves of `expected`: no more of it, and no whole line that is another one.
pub fn is_leftover(found: &[u8], expected: &[u8]) -> bool {
    let mut at = 0;
    found.len() <= expected.len()
        && found.split_inclusive(|byte| *byte == b'\n').all(|line| {
            at += line.len();
            own_hash(line).is_none() || expected[..at].ends_with(line)
        })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{applied, owner};
    use super::*;
    use crate::account::Field;

    fn log(count: u64) -> Vec<Vec<u8>> {
        let (head, mut prev) = Head::new(owner(), &Mark::fresh(0), None).line();
        let mut log = vec![head];
        for n in 1..=count {
            let entry = Entry::of(n, applied(n, Field::Enabled, n.is_multiple_of(2))).unwrap();
            let (line, hash) = entry.line(&prev);
            (log, prev) = ([log, vec![line]].concat(), hash);
        }
        log
    }

    /// The number of the first line that is not what was written.
    fn fault(log: &[Vec<u8>]) -> Option<usize> {
        let Ok(mut chain) = Chain::begin(&log[0]) else { return Some(1) };
        log.iter().skip(1).position(|line| chain.follow(line).is_err()).map(|at| at + 2)
    }

    #[test]
    fn a_line_that_was_changed_added_moved_or_taken_out_is_noticed() {
        let log = log(6);
        assert_eq!(fault(&log), None);
        for at in 1..6 {
            let mut changed = log.clone();
            let digit = changed[at].iter().rposition(|byte| *byte == b'1').unwrap();
            changed[at][digit] = b'2';
            assert_eq!(fault(&changed), Some(at + 1));
            let without = [&log[..at], &log[at + 1..]].concat();
            assert_eq!(fault(&without), Some(at + 1));
            let twice = [&log[..=at], &log[at..]].concat();
            assert_eq!(fault(&twice), Some(at + 2));
            let mut moved = log.clone();
            moved.swap(at, at + 1);
            assert_eq!(fault(&moved), Some(at + 1));
        }
    }

    #[test]
    fn a_hash_is_what_any_other_tool_makes_of_the_object_without_it() {
        let line = log(1).pop().unwrap();
        let text = String::from_utf8(line).unwrap();
        let (body, hash) = text.trim_end().strip_suffix("\"}").unwrap().rsplit_once(",\"hash\":\"").unwrap();
        let sum = Sha256::digest(format!("{body}}}")).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(sum, hash);
    }

    #[test]
    fn what_a_crash_leaves_is_told_from_what_somebody_wrote() {
        let whole = log(3).concat();
        for end in 0..=whole.len() {
            assert!(is_leftover(&whole[..end], &whole), "{end}");
            let mut holed = whole[..end].to_vec();
            holed[end / 2..].fill(0);
            assert!(is_leftover(&holed, &whole), "{end}");
        }
        assert!(!is_leftover(&log(4).concat(), &whole), "there is more");
        let mut other = log(2);
        other[2] = Entry::of(2, applied(9, Field::Enabled, true)).unwrap().line("").0;
        assert!(!is_leftover(&other.concat(), &whole), "a line that was written by somebody");
    }
}
