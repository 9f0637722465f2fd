//! What can go wrong with a ledger on disk, in words for whoever has to mend it.
//!
//! In: faults of the text, errors of the file system. Out: [`LedgerError`], each with the file, what
//! happened to it and the way out.
//! Invariant: no message suggests deleting what might be the only copy.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::account::printable::path as shown;
use crate::ledger::Owner;
use crate::ledger::fault::Fault;

/// Why a ledger cannot be used. Nothing on disk was changed by the attempt.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds the lock.
    #[error(
        "the ledger {} is in use by another process{}: wait for it or stop it, or give this one a ledger of its own \
         with --ledger", shown(.path), pid_text(*.pid)
    )]
    InUse {
        /// The ledger.
        path: PathBuf,
        /// The holder, as it wrote itself down; of its own PID namespace, so a hint only.
        pid: Option<u32>,
    },
    /// The bytes are not what was written.
    #[error(
        "{} is damaged: {what}. It was left as it is. Restore the ledger and its journal from one backup, or move both \
         aside to start empty: every managed field is then PUT once more", shown(.path)
    )]
    Damaged {
        /// The file: the ledger or its journal.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// The bytes are of a later version of this program.
    #[error(
        "{} was written by a newer version of this program ({found}). It was left as it is. Run that version, or a \
         later one", shown(.path)
    )]
    Newer {
        /// The file: the ledger or its journal.
        path: PathBuf,
        /// What this version does not know.
        found: String,
    },
    /// The bytes are of an earlier version of this program.
    #[error(
        "{} was written by an earlier version of this program ({found}), in a form that this one does not read. It was \
         left as it is. Move it and its journal aside to start empty: every managed field is then PUT once more",
        shown(.path)
    )]
    Older {
        /// The file: the ledger or its journal.
        path: PathBuf,
        /// In which form it is.
        found: String,
    },
    /// The ledger is somebody else's.
    #[error(
        "{} belongs to {}, but this run is for {}. It was left as it is. Check --zoid and --auth, or give this run a \
         ledger of its own with --ledger", shown(.path), whose(*.found), whose(*.expected)
    )]
    Foreign {
        /// The file: the ledger or its journal.
        path: PathBuf,
        /// Whose it is.
        found: Owner,
        /// Whose it would have to be.
        expected: Owner,
    },
    /// The folder the ledger would be in is not there.
    #[error("there is no folder {} for the ledger {}: create it, or correct --ledger", shown(.folder), shown(.path))]
    NoFolder {
        /// The ledger.
        path: PathBuf,
        /// The missing folder.
        folder: PathBuf,
    },
    /// New files cannot be made in the ledger's folder, or the ledger's files not be written.
    #[error(
        "the ledger {} cannot be kept, for this process may not write in {}: let it (mode, owner, read-only mount), or \
         choose another place with --ledger", shown(.path), shown(.folder)
    )]
    ReadOnly {
        /// The ledger.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names something that is not a file.
    #[error("{} is not a regular file: correct --ledger, or move it aside", shown(.path))]
    NotAFile {
        /// What is in the way.
        path: PathBuf,
    },
    /// The disk, a quota or a file size limit is used up.
    #[error("there is no room to write {}: nothing is sent until there is; free some space, the rest happens by itself", shown(.path))]
    NoRoom {
        /// The file that could not grow.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system, or a limit on this process, is short of open files or memory, or the call was interrupted: it passes.
    #[error(
        "cannot {action} {} for the moment: nothing is sent until it can; if it lasts, look at the limit on open files \
         (ulimit -n, LimitNOFILE=) and at the memory", shown(.path)
    )]
    NotNow {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system could not say that written bytes are on the disk, so none of them can be relied on.
    #[error("{} could not be synced to the disk: look at the disk and the system's log, then start again", shown(.path))]
    NotDurable {
        /// The file or folder that was to be synced.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else wrote to the journal, or took it away, while the lock was held.
    #[error(
        "{} was changed by somebody else while this process had it: {what}. Find out who, and start again",
        shown(.path)
    )]
    Disturbed {
        /// The journal.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Any other error of the file system.
    #[error("cannot {action} {}: look at the disk and the system's log", shown(.path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The writer ended earlier, and said why when it did.
    #[error("the ledger {} is closed since an earlier error", shown(.path))]
    Closed {
        /// The ledger.
        path: PathBuf,
    },
}

impl LedgerError {
    /// The error's stable name, for metrics and exit codes.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in_use",
            Self::Damaged { .. } => "damaged",
            Self::Newer { .. } => "newer",
            Self::Older { .. } => "older",
            Self::Foreign { .. } => "foreign",
            Self::NoFolder { .. } => "no_folder",
            Self::ReadOnly { .. } => "read_only",
            Self::NotAFile { .. } => "not_a_file",
            Self::NoRoom { .. } => "no_room",
            Self::NotNow { .. } => "not_now",
            Self::NotDurable { .. } => "not_durable",
            Self::Disturbed { .. } => "disturbed",
            Self::Io { .. } => "io",
            Self::Closed { .. } => "closed",
        }
    }

    /// The process's exit code: 4 in use; 5 damaged, newer or foreign; else 1.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::InUse { .. } => 4,
            Self::Damaged { .. } | Self::Newer { .. } | Self::Older { .. } | Self::Foreign { .. } => 5,
            _ => 1,
        }
    }

    /// A fault of the text, told about the file it was found in.
    pub(super) fn fault(path: &Path, fault: Fault, expected: Option<Owner>) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Damaged(what) => Self::Damaged { path, what },
            Fault::Newer(found) => Self::Newer { path, found },
            Fault::Older(found) => Self::Older { path, found },
            Fault::Foreign(found) => Self::Foreign { path, found, expected: expected.unwrap_or(found) },
        }
    }

    /// Whether it passes by itself, or by what an operator does elsewhere: to try again later is right.
    pub(super) const fn passes(&self) -> bool {
        matches!(self, Self::NoRoom { .. } | Self::NotNow { .. })
    }

    /// An error of the file system.
    pub(super) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        let too_many_files = matches!(Errno::from_io_error(&source), Some(Errno::MFILE | Errno::NFILE));
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoRoom { path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { folder: path.parent().unwrap_or(&path).to_owned(), path, source }
            }
            io::ErrorKind::OutOfMemory | io::ErrorKind::Interrupted => Self::NotNow { path, action, source },
            _ if too_many_files => Self::NotNow { path, action, source },
            _ => Self::Io { path, action, source },
        }
    }

    pub(super) fn not_durable(path: &Path, source: io::Error) -> Self {
        Self::NotDurable { path: path.to_owned(), source }
    }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

fn whose(owner: Owner) -> String {
    match owner {
        Owner::Organization(zoid) => format!("organization {zoid}"),
        Owner::User => "the person who signed in (--auth user)".to_owned(),
        Owner::Sandbox => "the embedded sandbox".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Zoid;

    #[test]
    fn every_error_names_the_file_what_happened_and_the_way_out() {
        let path = || PathBuf::from("/var/lib/zmr/ledger.json");
        let folder = || PathBuf::from("/var/lib/zmr");
        let source = || io::Error::other("the system's words");
        let organization = Owner::Organization(Zoid::new(7).unwrap());
        let errors = [
            LedgerError::InUse { path: path(), pid: Some(42) },
            LedgerError::InUse { path: path(), pid: None },
            LedgerError::Damaged { path: path(), what: "line 3 is not what was written".to_owned() },
            LedgerError::Newer { path: path(), found: "apiVersion \"v2\"".to_owned() },
            LedgerError::Older { path: path(), found: "apiVersion \"v1\"".to_owned() },
            LedgerError::Foreign { path: path(), found: organization, expected: Owner::Sandbox },
            LedgerError::Foreign { path: path(), found: Owner::User, expected: organization },
            LedgerError::NoFolder { path: path(), folder: folder() },
            LedgerError::ReadOnly { path: path(), folder: folder(), source: source() },
            LedgerError::NotAFile { path: path() },
            LedgerError::NoRoom { path: path(), source: source() },
            LedgerError::NotNow { path: path(), action: "open", source: source() },
            LedgerError::NotDurable { path: path(), source: source() },
            LedgerError::Disturbed { path: path(), what: "it was removed".to_owned() },
            LedgerError::Io { path: path(), action: "open", source: source() },
            LedgerError::Closed { path: path() },
        ];
        let text: Vec<_> = errors.iter().map(|e| format!("{} {}: {e}", e.exit_code(), e.label())).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        4 in_use: the ledger /var/lib/zmr/ledger.json is in use by another process (pid 42): wait for it or stop it, or give this one a ledger of its own with --ledger
        4 in_use: the ledger /var/lib/zmr/ledger.json is in use by another process: wait for it or stop it, or give this one a ledger of its own with --ledger
        5 damaged: /var/lib/zmr/ledger.json is damaged: line 3 is not what was written. It was left as it is. Restore the ledger and its journal from one backup, or move both aside to start empty: every managed field is then PUT once more
        5 newer: /var/lib/zmr/ledger.json was written by a newer version of this program (apiVersion "v2"). It was left as it is. Run that version, or a later one
        5 older: /var/lib/zmr/ledger.json was written by an earlier version of this program (apiVersion "v1"), in a form that this one does not read. It was left as it is. Move it and its journal aside to start empty: every managed field is then PUT once more
        5 foreign: /var/lib/zmr/ledger.json belongs to organization 7, but this run is for the embedded sandbox. It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
        5 foreign: /var/lib/zmr/ledger.json belongs to the person who signed in (--auth user), but this run is for organization 7. It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
        1 no_folder: there is no folder /var/lib/zmr for the ledger /var/lib/zmr/ledger.json: create it, or correct --ledger
        1 read_only: the ledger /var/lib/zmr/ledger.json cannot be kept, for this process may not write in /var/lib/zmr: let it (mode, owner, read-only mount), or choose another place with --ledger
        1 not_a_file: /var/lib/zmr/ledger.json is not a regular file: correct --ledger, or move it aside
        1 no_room: there is no room to write /var/lib/zmr/ledger.json: nothing is sent until there is; free some space, the rest happens by itself
        1 not_now: cannot open /var/lib/zmr/ledger.json for the moment: nothing is sent until it can; if it lasts, look at the limit on open files (ulimit -n, LimitNOFILE=) and at the memory
        1 not_durable: /var/lib/zmr/ledger.json could not be synced to the disk: look at the disk and the system's log, then start again
        1 disturbed: /var/lib/zmr/ledger.json was changed by somebody else while this process had it: it was removed. Find out who, and start again
        1 io: cannot open /var/lib/zmr/ledger.json: look at the disk and the system's log
        1 closed: the ledger /var/lib/zmr/ledger.json is closed since an earlier error
        "#);
        assert!(!text.iter().any(|text| text.contains("the system's words")));
    }
}
