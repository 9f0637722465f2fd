//! What an operator orders through files beside the ledger: the switch that suspends everything, and orders to the process
//! that has the ledger ([`mod@order`]).
//!
//! In: the ledger's path; [`Freeze`]s to set. Out: the freeze in force; the one that was lifted last, and who lifted it; each
//! order, once.
//! Invariants: a file that is there but cannot be read freezes as well; a shortage of this process (of descriptors, of
//! memory) changes nothing; the file is complete under its name or not there at all, also after a power cut.
//! Deliberately absent: events. The controller looks at the switch before anything leaves, and [`watch()`] for an order
//! every [`NOTICED`], which works on any file system.

pub mod order;

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::freeze::{Freeze, NOTICED, Resumed};
use crate::order::Order;

/// The most of a file that is read, in bytes: many times what is ever written to one.
const MAX_BYTES: u64 = 64 * 1024;

/// Everybody may read it, above all the daemon, whoever set it: there is no secret in it.
const MODE: u32 = 0o644;

/// The file beside `ledger`: `ledger.json.suspended`.
pub fn path(ledger: &Path) -> PathBuf {
    beside(ledger, ".suspended")
}

/// Where the suspension that was lifted last is remembered: `ledger.json.resumed`.
fn resumed_path(ledger: &Path) -> PathBuf {
    beside(ledger, ".resumed")
}

fn beside(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The freeze in force beside `ledger`, if there is one. One whose time is over is none. Blocks on the disk.
///
/// # Errors
///
/// If this process is short of something, so that nothing can be told.
pub fn read(ledger: &Path) -> io::Result<Option<Freeze>> {
    match bytes(&path(ledger)) {
        Ok(bytes) => Ok(Some(Freeze::from_bytes(&bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_link = path(ledger).symlink_metadata().is_ok();
            Ok(is_link.then(|| Freeze::unclear("its file is a link that leads nowhere")))
        }
        Err(error) if is_shortage(&error) => Err(error),
        Err(error) => Ok(Some(Freeze::unclear(&format!("its file cannot be read: {error}")))),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    // A named pipe in the file's place must not hang whoever looks at it.
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut bytes = Vec::new();
    options.open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR].contains(&Errno::from_io_error(error).unwrap_or(Errno::IO))
}

/// Sets the switch beside `ledger`, also if it is set already. Blocks on the disk.
///
/// # Errors
///
/// If the folder does not exist, or cannot be written.
pub fn set(ledger: &Path, freeze: &Freeze) -> io::Result<()> {
    publish(&path(ledger), &freeze.to_bytes())
}

/// Makes or replaces a file, durably.
fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut code = None;
    let open =
        |new: &Path| File::options().write(true).create_new(true).open(new).inspect_err(|e| code = e.raw_os_error());
    let new = tempfile::Builder::new().make_in(folder(path), open);
    // The library's error names a file that was never there.
    let mut new = new.map_err(|error| code.map_or(error, io::Error::from_raw_os_error))?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(Permissions::from_mode(MODE))?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    File::open(folder(path))?.sync_all()
}

/// Lifts the switch beside `ledger`, and remembers of the suspension that `resumed` ended it. Says which one that was.
/// Blocks on the disk.
///
/// # Errors
///
/// If the file is there and cannot be read or removed.
pub fn lift(ledger: &Path, resumed: Resumed) -> io::Result<Option<Freeze>> {
    let Some(freeze) = read(ledger)? else { return Ok(None) };
    let lifted = Freeze { resumed: Some(resumed), ..freeze };
    // What could not be lifted is not remembered as lifted.
    if !remove(&path(ledger))? {
        return Ok(None);
    }
    // A disk without room does not keep the suspension.
    let _ = publish(&resumed_path(ledger), &lifted.to_bytes());
    Ok(Some(lifted))
}

/// The suspension beside `ledger` that was lifted last, and who did it; `None` if there was none, or nothing can be read
/// of it. Blocks on the disk.
pub fn last_lifted(ledger: &Path) -> Option<(Freeze, Resumed)> {
    let freeze = Freeze::from_bytes(&bytes(&resumed_path(ledger)).ok()?);
    let resumed = freeze.resumed.clone()?;
    Some((freeze, resumed))
}

/// Removes a file, durably. Says whether it was there.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => File::open(folder(path))?.sync_all().map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes every order that is left beside `ledger`, until `cancel`: the one that came last. One that is there now is taken
/// when this returns. Must be called within a tokio runtime, by the process that has the ledger.
pub fn watch(ledger: PathBuf, cancel: CancellationToken) -> watch::Receiver<Option<Order>> {
    let (ordered, orders) = watch::channel(order::take(&ledger));
    tokio::spawn(async move {
        while cancel.run_until_cancelled(tokio::time::sleep(NOTICED)).await.is_some() {
            let path = ledger.clone();
            let taken = tokio::task::spawn_blocking(move || order::take(&path));
            if let Ok(Some(order)) = taken.await {
                ordered.send_replace(Some(order));
            }
        }
    });
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn the_switch_is_set_once_and_lifted_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.json");
        assert_eq!(read(&ledger).unwrap(), None);
        for reason in ["first", "second"] {
            let freeze = Freeze { reason: Some(reason.into()), ..Freeze::default() };
            set(&ledger, &freeze).unwrap();
            assert_eq!(read(&ledger).unwrap(), Some(freeze));
        }
        let mode = fs::metadata(path(&ledger)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE, "set by root, read by the daemon's user");
        assert_eq!(last_lifted(&ledger), None);
        let resumed = Resumed { at: Timestamp::from_millis(7), by: "bob".into(), host: "web1".into() };
        let lifted = lift(&ledger, resumed.clone()).unwrap().unwrap();
        assert_eq!(lifted.reason.as_deref(), Some("second"));
        assert_eq!(lift(&ledger, Resumed { by: "eve".into(), ..resumed.clone() }).unwrap(), None);
        assert_eq!(last_lifted(&ledger), Some((lifted, resumed)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "what is remembered");
    }

    #[test]
    fn what_is_there_and_cannot_be_read_freezes() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.json");
        fs::create_dir(path(&ledger)).unwrap();
        let freeze = read(&ledger).unwrap().unwrap();
        assert!(freeze.to_string().contains("its file cannot be read"), "{freeze}");
        let resumed = Resumed { at: Timestamp::from_millis(7), by: "bob".into(), host: "web1".into() };
        lift(&ledger, resumed.clone()).unwrap_err();
        assert_eq!(last_lifted(&ledger), None, "what could not be lifted was not");
        fs::remove_dir(path(&ledger)).unwrap();
        std::os::unix::fs::symlink("nowhere", path(&ledger)).unwrap();
        let freeze = read(&ledger).unwrap().unwrap();
        assert!(freeze.to_string().contains("a link that leads nowhere"), "{freeze}");
        assert!(lift(&ledger, resumed).unwrap().is_some() && read(&ledger).unwrap().is_none());
        rustix::fs::mknodat(rustix::fs::CWD, path(&ledger), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(read(&ledger).unwrap().is_some(), "a pipe that nobody writes to does not hang");
        fs::remove_file(path(&ledger)).unwrap();
        fs::write(path(&ledger), "").unwrap();
        assert_eq!(read(&ledger).unwrap(), Some(Freeze::default()), "touch is enough");
    }
}
