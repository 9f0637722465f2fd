//! The lock beside a ledger: keeps a second process out, and says what a reader has to know of the first.
//!
//! In: the lock's path; why the ledger cannot be written; with which options the daemon runs. Out: [`Lock`], for one process
//! at a time; [`Holder`], for those that read.
//! Invariants: the file is never renamed and never removed; what it says is written in its place, which a full disk allows
//! where a longer file would not be; what cannot be written there keeps nothing from going on. Absent by design: the ledger.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::LedgerError;
use super::place::{Place, open};
use crate::account::printable;
use crate::timestamp::Timestamp;

/// How often a lock that is held is tried again, and after what time: a reader holds it for microseconds, to look.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// The longest text in the file, in bytes: less than the block that it has anyway.
const TEXT_MAX: usize = 512;

/// The longest reason in it, in bytes: the options have room beside it.
const TROUBLE_MAX: usize = 320;

/// Keeps other processes out until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    options: Box<str>,
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that is just being forked has it open too.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock. The folder must be writable.
    pub(super) fn take(place: &Place) -> Result<Self, LedgerError> {
        let file = place.open_lock()?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let pid = text(&file).ok().and_then(|text| text.lines().next()?.trim().parse().ok());
                    return Err(LedgerError::InUse { path: place.snapshot.clone(), pid });
                }
                Err(TryLockError::Error(source)) => return Err(LedgerError::io(&place.lock, "lock", source)),
            }
        }
        let lock = Self { file, options: "".into() };
        lock.note(None);
        Ok(lock)
    }

    /// Notes who holds it, and why the ledger cannot be written. Only for people, so a failure is none: a full disk must
    /// not keep the program from starting.
    pub(super) fn note(&self, trouble: Option<&LedgerError>) {
        let trouble = trouble.map(|error| printable::escape(&error.to_string())).unwrap_or_default();
        let text = format!("{}\n{}\n{}\n", std::process::id(), printable::cut(&trouble, TROUBLE_MAX), self.options);
        let bytes = printable::cut(&text, TEXT_MAX).as_bytes().to_vec();
        // First the new text, then the new length: a disk that is full takes what is no longer than before.
        let _ = self.file.write_all_at(&bytes, 0).and_then(|()| self.file.set_len(bytes.len() as u64));
    }

    /// Notes with which options, on one line, the process that holds it runs.
    pub(super) fn announce(&mut self, options: Box<str>) {
        self.options = options;
        self.note(None);
    }
}

fn text(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(TEXT_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The process that has a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Whether one has it now; `None` if that cannot be found out.
    pub is_there: Option<bool>,
    /// Why it cannot write the ledger, or could not when it ended.
    pub trouble: Option<String>,
    /// Since when, as the file says it.
    pub since: Option<Timestamp>,
    /// With which options the daemon runs, or ran last: [`super::LedgerFile::announce`].
    pub options: Option<String>,
}

/// Whether a process ever had a ledger at `path`: its lock stays beside it. Blocks on the disk.
pub fn was_held(path: &Path) -> bool {
    Place::resolve(path).is_ok_and(|place| place.lock.exists())
}

/// The process that has the ledger at `path`. Takes the lock for a moment. Blocks on the disk.
///
/// # Errors
///
/// If the ledger's folder cannot be looked into.
pub fn holder(path: &Path) -> Result<Holder, LedgerError> {
    let place = Place::resolve(path)?;
    let file = match open(&place.lock, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(LedgerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Holder { is_there: Some(false), ..Holder::default() });
        }
        Err(_) => return Ok(Holder::default()),
    };
    let is_there = match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            Some(false)
        }
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    };
    let text = text(&file).unwrap_or_default();
    let line = |number| text.lines().nth(number).filter(|line| !line.is_empty()).map(str::to_owned);
    let (trouble, options) = (line(1), line(2));
    // It is written when that begins, and when it ends.
    let written = file.metadata().ok().and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let since = written.filter(|_| trouble.is_some()).and_then(|at| u64::try_from(at.as_millis()).ok());
    Ok(Holder { is_there, trouble, since: since.map(Timestamp::from_millis), options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_who_has_the_ledger_and_what_keeps_them_from_writing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let there = |is_there| Holder { is_there: Some(is_there), ..Holder::default() };
        assert_eq!(holder(&path).unwrap(), there(false));
        let place = Place::resolve(&path).unwrap();
        let mut lock = Lock::take(&place).unwrap();
        assert_eq!(holder(&path).unwrap(), there(true));
        let second = Lock::take(&place).unwrap_err();
        assert!(matches!(second, LedgerError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
        let full = LedgerError::io(&path, "write", io::ErrorKind::StorageFull.into());
        lock.note(Some(&full));
        let found = holder(&path).unwrap();
        assert_eq!((found.is_there, found.trouble, found.options), (Some(true), Some(full.to_string()), None));
        assert!(found.since.is_some());
        lock.announce("{}".into());
        assert_eq!(holder(&path).unwrap(), Holder { options: Some("{}".to_owned()), ..there(true) });
        lock.note(Some(&LedgerError::io(&path.join("a".repeat(600)), "write", io::ErrorKind::StorageFull.into())));
        drop(lock);
        let left = holder(&path).unwrap();
        assert!(left.is_there == Some(false) && left.trouble.is_some(), "{left:?}");
        assert_eq!(left.options.as_deref(), Some("{}"));
        drop(Lock::take(&place).unwrap());
        assert_eq!(holder(&path).unwrap(), there(false));
    }
}
