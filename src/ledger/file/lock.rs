//! The lock beside a ledger: keeps a second process out, and says what a reader has to know of the first.
//!
//! In: the lock's path; why the ledger cannot be written. Out: [`Lock`], for one process at a time; [`Holder`], for those
//! that read.
//! Invariants: the file is never renamed and never removed; what it says is written in its place, which a full disk allows
//! where a longer file would not be; what cannot be written there keeps nothing from going on. Absent by design: the ledger.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use super::LedgerError;
use super::place::{Place, open};
use crate::account::printable;

/// How often a lock that is held is tried again, and after what time: a reader holds it for microseconds, to look.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// The longest text in the file, in bytes: less than the block that it has anyway.
const TEXT_MAX: usize = 512;

/// Keeps other processes out until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a process that is just being forked has it open too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
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
        let lock = Self(file);
        lock.note(None);
        Ok(lock)
    }

    /// Notes who holds it, and why the ledger cannot be written. Only for people, so a failure is none: a full disk must
    /// not keep the program from starting.
    pub(super) fn note(&self, trouble: Option<&LedgerError>) {
        let trouble = trouble.map(|error| format!("{}\n", printable::escape(&error.to_string()))).unwrap_or_default();
        let text = format!("{}\n{trouble}", std::process::id());
        let bytes = printable::cut(&text, TEXT_MAX).as_bytes().to_vec();
        // First the new text, then the new length: a disk that is full takes what is no longer than before.
        let _ = self.0.write_all_at(&bytes, 0).and_then(|()| self.0.set_len(bytes.len() as u64));
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
            return Ok(Holder { is_there: Some(false), trouble: None });
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
    let trouble = text(&file).ok().and_then(|text| text.lines().nth(1).map(str::to_owned));
    Ok(Holder { is_there, trouble })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_who_has_the_ledger_and_what_keeps_them_from_writing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let there = |is_there| Holder { is_there: Some(is_there), trouble: None };
        assert_eq!(holder(&path).unwrap(), there(false));
        let place = Place::resolve(&path).unwrap();
        let lock = Lock::take(&place).unwrap();
        assert_eq!(holder(&path).unwrap(), there(true));
        let second = Lock::take(&place).unwrap_err();
        assert!(matches!(second, LedgerError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
        let full = LedgerError::io(&path, "write", io::ErrorKind::StorageFull.into());
        lock.note(Some(&full));
        assert_eq!(holder(&path).unwrap(), Holder { is_there: Some(true), trouble: Some(full.to_string()) });
        drop(lock);
        let left = holder(&path).unwrap();
        assert!(left.is_there == Some(false) && left.trouble.is_some(), "{left:?}");
        drop(Lock::take(&place).unwrap());
        assert_eq!(holder(&path).unwrap(), there(false));
    }
}
