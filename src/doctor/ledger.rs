//! The ledger's place and the ledger itself, without a touch.

use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::geteuid;

use super::place::{self, Kind, beside, bytes, folder_of};
use super::{Finding, Subject, count};
use crate::account::printable;

/// Below this much room, nothing can be relied on: a journal of an hour's changes.
const ROOM_FAIL: u64 = 1024 * 1024;

/// Below this much room, somebody should look: the ledger of 100,000 accounts is folded into a second one.
const ROOM_WARN: u64 = 128 * 1024 * 1024;

/// Fewer free inodes than the ledger has files, and some.
const FILES_WARN: u64 = 16;

pub(super) fn folder(subject: &Subject) -> Finding {
    let folder = folder_of(&subject.ledger);
    let shown = printable::path(&folder);
    if !folder.is_dir() {
        return Finding::fail(format!("there is no folder {shown}"), "create it, or correct --ledger");
    }
    // The flags of the daemon's own question: with more it is a younger system call that old sandboxes refuse.
    if let Err(error) = accessat(CWD, &folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()) {
        return Finding::fail(
            format!("this process may not write in {shown}: {error}"),
            "let it (mode, owner, read-only mount), or choose another place with --ledger",
        );
    }
    let owner = folder.metadata().map(|folder| folder.uid()).unwrap_or_default();
    if geteuid().is_root() && owner != 0 {
        return Finding::warn(
            format!("{shown} can be written, but root may do that anywhere"),
            format!("ask as the user that the daemon runs as: sudo -u '#{owner}' zoho-mail-reconciler doctor"),
        );
    }
    Finding::ok(format!("{shown} can be written"))
}

pub(super) fn file_system(subject: &Subject) -> Finding {
    let keep = "keep the ledger on a local disk, or on a volume that stays";
    match place::noted(&folder_of(&subject.ledger)) {
        None => Finding::ok("local"),
        Some((name, Kind::Remote)) => {
            Finding::warn(format!("{name}: locks and syncs may mean less than they say"), keep)
        }
        Some((name, Kind::Layer)) => Finding::warn(
            format!("{name}: in a container, the ledger goes with it, and every field is PUT once more"),
            keep,
        ),
        Some((name, Kind::Memory)) => Finding::warn(
            format!("{name}: the ledger is gone with the next start, and every field is PUT once more"),
            keep,
        ),
    }
}

pub(super) fn space(subject: &Subject) -> Finding {
    let Some((room, files)) = place::room(&folder_of(&subject.ledger)) else {
        return Finding::skip("the file system does not tell");
    };
    let what = format!("{} free", bytes(room));
    let remedy = "free some: while the ledger cannot grow, nothing is sent";
    match files {
        Some(files) if files < FILES_WARN => {
            Finding::warn(format!("{what}, but only {}", count(files as usize, "file")), remedy)
        }
        _ if room < ROOM_FAIL => Finding::fail(what, remedy),
        _ if room < ROOM_WARN => Finding::warn(what, remedy),
        _ => Finding::ok(what),
    }
}

pub(super) fn ledger(subject: &Subject) -> Finding {
    let shown = printable::path(&subject.ledger);
    let size = |suffix| beside(&subject.ledger, suffix).metadata().map_or(0, |file| file.len());
    match subject.ledger() {
        Err(error) => Finding::error(error, "look at the disk and the system's log"),
        Ok(None) => Finding::ok(format!("{shown} is not there yet: every managed field is sent once")),
        Ok(Some(ledger)) => {
            let (accounts, serial) = (count(ledger.accounts.len(), "account"), ledger.serial);
            let journal = size(".journal");
            let journal = if journal > 0 { format!(", and {} of journal", bytes(journal)) } else { String::new() };
            Finding::ok(format!("{shown}: {accounts}, serial {serial}, {}{journal}", bytes(size(""))))
        }
    }
}

pub(super) fn mode(subject: &Subject) -> Finding {
    let files = ["", ".journal", ".audit", ".notified"].map(|suffix| beside(&subject.ledger, suffix));
    let open: Vec<_> = files
        .iter()
        .filter_map(|file| {
            let mode = file.metadata().ok()?.mode() & 0o7777;
            (mode & 0o077 != 0).then(|| format!("{} ({mode:04o})", printable::path(file)))
        })
        .collect();
    if open.is_empty() {
        return Finding::ok("nobody else may read it");
    }
    Finding::warn(format!("others may look into {}", open.join(", ")), "chmod 600: it says who works where")
}

pub(super) fn lock(subject: &Subject) -> Finding {
    match holder(subject) {
        Some(pid) => Finding::ok(format!("held by process {pid}: the daemon runs, or an apply")),
        None => Finding::ok("free, as far as this machine's processes can be seen from here"),
    }
}

/// Which process holds the lock. The kernel's list is read: to try the lock would keep a daemon out that starts just then.
pub(super) fn holder(subject: &Subject) -> Option<u32> {
    let lock = beside(&subject.ledger, ".lock").metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF`, see proc(5).
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, _, mode) = (words.next()?, words.next()?, words.next()?);
        let (pid, file) = (words.next()?.parse().ok()?, words.next()?);
        let inode: u64 = file.rsplit(':').next()?.parse().ok()?;
        (kind == "FLOCK" && mode == "WRITE" && inode == lock.ino()).then_some(pid)
    })
}
