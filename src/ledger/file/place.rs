//! Where a ledger's files are, and the few ways in which they are touched.
//!
//! In: the path the operator gave. Out: [`Place`]: the snapshot, its journal, its lock, and the
//! temp file a snapshot grows in, all in the folder the path's links lead to.
//! Invariants: every file is made with mode 0600; links are followed for the ledger itself, once,
//! and for nothing beside it; no file is read beyond [`FILE_MAX`]; opening never waits on a pipe.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat};
use rustix::process::{Resource, getrlimit};
use tempfile::TempPath;

use super::LedgerError;
use crate::account::AccountId;
use crate::ledger::{Ledger, snapshot};

/// Largest ledger or journal that is read or written, in bytes: three million accounts. A bound
/// for memory when somebody else's file is in the way.
pub(super) const FILE_MAX: u64 = 1024 * 1024 * 1024;

/// How many symbolic links in a row are followed to the ledger; Linux's own bound.
const LINKS_MAX: usize = 40;

/// Readable and writable for the owner only: the ledger says who works where.
const MODE: u32 = 0o600;

/// The files of one ledger.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) snapshot: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) audit: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) lock: PathBuf,
    temp_name: OsString,
    name: OsString,
}

/// The size of a file up to which this process may write, in bytes. Asked for before each write:
/// to hit the limit would end the process with SIGXFSZ.
pub(super) fn size_limit() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX).min(FILE_MAX)
}

/// Which file it is, how long, and changed when: another one whenever a file is replaced, cut or written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    ino: u64,
    len: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { ino: metadata.ino(), len: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }
}

/// The state of the snapshot and of the journal, to be compared with a later one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamps([Option<Stamp>; 2]);

impl Place {
    /// The state of the snapshot and of the journal now.
    pub(super) fn stamps(&self) -> Stamps {
        Stamps([&self.snapshot, &self.journal].map(|path| Stamp::of(path)))
    }

    /// Follows the path's links. Neither the ledger nor its siblings need to exist, the folder must.
    pub(super) fn resolve(path: &Path) -> Result<Self, LedgerError> {
        let mut target = path.to_owned();
        for _ in 0..LINKS_MAX {
            let Ok(link) = fs::read_link(&target) else { break };
            target = target.parent().unwrap_or(Path::new("")).join(link);
        }
        // What a link like /dev/stdin leads to may have no path, and is not absent for all that.
        if fs::metadata(path).is_ok() && fs::symlink_metadata(&target).is_err() {
            return Err(LedgerError::NotAFile { path: path.to_owned() });
        }
        let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else {
            return Err(LedgerError::NotAFile { path: path.to_owned() });
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let folder = fs::canonicalize(parent).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                LedgerError::NoFolder { path: path.to_owned(), folder: parent.to_owned() }
            }
            _ => LedgerError::io(parent, "look into", source),
        })?;
        let beside = |suffix: &str| {
            let mut name = name.to_owned();
            name.push(suffix);
            name
        };
        Ok(Self {
            snapshot: folder.join(name),
            journal: folder.join(beside(".journal")),
            audit: folder.join(beside(".audit")),
            lock: folder.join(beside(".lock")),
            temp_name: beside(".tmp"),
            name: name.to_owned(),
            folder,
        })
    }

    /// Whether files can be made in the folder.
    pub(super) fn check_writable(&self) -> Result<(), LedgerError> {
        let read_only =
            |source| LedgerError::ReadOnly { path: self.snapshot.clone(), folder: self.folder.clone(), source };
        // Without flags, for with them it is a younger system call that old sandboxes refuse.
        accessat(CWD, &self.folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
            .map_err(|error| read_only(error.into()))
    }

    /// Opens the lock's file, made if there is none.
    pub(super) fn open_lock(&self) -> Result<File, LedgerError> {
        open(&self.lock, OpenOptions::new().read(true).write(true).create(true))
    }

    /// Opens the journal for appending.
    pub(super) fn open_journal(&self) -> Result<File, LedgerError> {
        open(&self.journal, OpenOptions::new().append(true))
    }

    /// Writes the whole lines of a journal once more, in their place, and cuts what follows them.
    ///
    /// What a killed process wrote may not be on the disk, and is acted upon from here on. A sync alone would not do:
    /// after one that failed, the system holds as written what it dropped, and says yes the second time.
    pub(super) fn rewrite_journal(&self, lines: &[u8]) -> Result<(), LedgerError> {
        let failed = |action| move |source| LedgerError::io(&self.journal, action, source);
        let mut file = open(&self.journal, OpenOptions::new().write(true))?;
        // A journal longer than it may be by now: to write it would end the process.
        if lines.len() as u64 <= size_limit() {
            file.write_all(lines).map_err(failed("write"))?;
        }
        file.set_len(lines.len() as u64).map_err(failed("cut"))?;
        file.sync_data().map_err(|source| LedgerError::not_durable(&self.journal, source))
    }

    /// Makes a journal, and its name durable: a sync of the file alone does not cover that.
    pub(super) fn make_journal(&self) -> Result<File, LedgerError> {
        let folder = self.open_folder()?;
        let file = open(&self.journal, OpenOptions::new().append(true).create(true))?;
        let len = file.metadata().map_err(|source| LedgerError::io(&self.journal, "look at", source))?.len();
        if len > 0 {
            let what = format!("it has {len} bytes, where there was no journal before");
            return Err(LedgerError::Disturbed { path: self.journal.clone(), what });
        }
        self.sync_folder(&folder)?;
        Ok(file)
    }

    /// Opens the folder before names in it change: it must not fail between a change and its sync.
    pub(super) fn open_folder(&self) -> Result<File, LedgerError> {
        File::open(&self.folder).map_err(|source| LedgerError::io(&self.folder, "open", source))
    }

    /// Makes names in the folder durable: made, renamed, removed.
    pub(super) fn sync_folder(&self, folder: &File) -> Result<(), LedgerError> {
        folder.sync_all().map_err(|source| LedgerError::not_durable(&self.folder, source))
    }

    /// Replaces the snapshot: temp file, sync, rename, sync of the folder. Returns its length.
    /// Until the rename the old one stays, and after an error it still does.
    pub(super) fn write_snapshot(
        &self,
        write: impl FnOnce(&mut io::BufWriter<Bounded<'_>>) -> io::Result<()>,
    ) -> Result<u64, LedgerError> {
        let temp_path = self.folder.join(&self.temp_name);
        let failed = |source| LedgerError::io(&temp_path, "write", source);
        self.remove_temp()?;
        let folder = self.open_folder()?;
        // One fixed name: the lock keeps others away, and what a crash leaves is found again.
        let file = open(&temp_path, OpenOptions::new().write(true).create_new(true))?;
        let removed_if_it_fails = TempPath::try_from_path(&temp_path).map_err(failed)?;
        let mut out = io::BufWriter::with_capacity(64 * 1024, Bounded { file: &file, left: size_limit() });
        write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
        drop(out);
        let len = file.metadata().map_err(failed)?.len();
        // Whatever failed, only the temp file is lost: what passes is no more than that, here.
        file.sync_all().map_err(|source| match failed(source) {
            LedgerError::Io { path, source, .. } => LedgerError::NotDurable { path, source },
            error => error,
        })?;
        removed_if_it_fails
            .persist(&self.snapshot)
            .map_err(|error| LedgerError::io(&self.snapshot, "rename the new ledger to", error.error))?;
        self.sync_folder(&folder)?;
        Ok(len)
    }

    /// Removes what a killed process left of a snapshot it was writing.
    pub(super) fn remove_temp(&self) -> Result<(), LedgerError> {
        remove(&self.folder.join(&self.temp_name))
    }

    /// Removes a snapshot that holds nothing.
    pub(super) fn remove_snapshot(&self) -> Result<(), LedgerError> {
        remove(&self.snapshot)
    }

    /// Removes an audit log of which the snapshot knows nothing: its records are in the journal.
    pub(super) fn remove_audit(&self) -> Result<(), LedgerError> {
        remove(&self.audit)
    }

    /// Removes the journal. Should a power cut bring it back, it is one the snapshot has already.
    pub(super) fn remove_journal(&self) -> Result<(), LedgerError> {
        remove(&self.journal)
    }

    /// Keeps a torn tail beside `of` (the journal, or the audit log), under the serial it would have followed, and the
    /// newest `keep` of them.
    pub(super) fn keep_torn(&self, of: &str, tail: &[u8], serial: u64, keep: usize) -> Result<PathBuf, LedgerError> {
        let mut prefix = self.name.clone();
        prefix.push(format!(".{of}.torn-"));
        let copy = |serial: u64| {
            let mut name = prefix.clone();
            name.push(serial.to_string());
            self.folder.join(name)
        };
        let path = copy(serial);
        let mut file = open(&path, OpenOptions::new().write(true).create(true).truncate(true))?;
        file.write_all(tail)
            .and_then(|()| file.sync_all())
            .map_err(|source| LedgerError::io(&path, "copy the torn tail to", source))?;
        let mut serials: Vec<u64> = fs::read_dir(&self.folder)
            .map_err(|source| LedgerError::io(&self.folder, "list", source))?
            .filter_map(|entry| number_after(&prefix, &entry.ok()?.file_name()))
            .collect();
        serials.sort_unstable_by(|a, b| b.cmp(a));
        for old in serials.into_iter().skip(keep).filter(|old| *old != serial) {
            let path = copy(old);
            fs::remove_file(&path).map_err(|source| LedgerError::io(&path, "remove", source))?;
        }
        Ok(path)
    }
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(LedgerError::io(path, "remove", source)),
        _ => Ok(()),
    }
}

fn number_after(prefix: &OsStr, name: &OsStr) -> Option<u64> {
    let digits = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Opens a regular file, never through a link, and never waiting for the other end of a pipe.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> Result<File, LedgerError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let not_a_file = || LedgerError::NotAFile { path: path.to_owned() };
    let file = match options.mode(MODE).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(source) => {
            let in_the_way = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
            return Err(if in_the_way { not_a_file() } else { LedgerError::io(path, "open", source) });
        }
    };
    let metadata = file.metadata().map_err(|source| LedgerError::io(path, "look at", source))?;
    if metadata.is_file() { Ok(file) } else { Err(not_a_file()) }
}

/// A file that is read, held open so that no other file can take its identity.
pub(super) struct Seen<'a> {
    path: &'a Path,
    file: File,
    /// Its length when it was opened, in bytes.
    pub(super) len: u64,
}

impl<'a> Seen<'a> {
    /// Opens a file to read it; `None` if there is none.
    pub(super) fn open(path: &'a Path) -> Result<Option<Self>, LedgerError> {
        let file = match open(path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(LedgerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            // For somebody who only reads, a file that may not be read is no matter of the folder.
            Err(LedgerError::ReadOnly { path, source, .. }) => {
                return Err(LedgerError::Io { path, action: "read", source });
            }
            Err(error) => return Err(error),
        };
        let len = file.metadata().map_err(|source| LedgerError::io(path, "look at", source))?.len();
        if len > FILE_MAX {
            let what = format!("it is larger than {FILE_MAX} bytes, which no ledger of this program is");
            return Err(LedgerError::Damaged { path: path.to_owned(), what });
        }
        Ok(Some(Self { path, file, len }))
    }

    /// Reads it from its beginning.
    pub(super) fn reader(&self) -> io::Result<io::Take<&File>> {
        (&self.file).rewind()?;
        Ok((&self.file).take(FILE_MAX))
    }

    /// All of it.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.reader()
            .and_then(|mut reader| reader.read_to_end(&mut bytes))
            .map_err(|source| LedgerError::io(self.path, "read", source))?;
        Ok(bytes)
    }

    /// The ledger in it, or the part some accounts make up; `None` if it is not as this program wrote it.
    pub(super) fn ledger(&self, wanted: Option<&BTreeSet<AccountId>>) -> Result<Option<Ledger>, LedgerError> {
        self.reader()
            .and_then(|reader| snapshot::lines::read(reader, wanted))
            .map_err(|source| LedgerError::io(self.path, "read", source))
    }

    /// Whether its path still names it.
    pub(super) fn is_still_there(&self) -> bool {
        match (self.file.metadata(), fs::metadata(self.path)) {
            (Ok(read), Ok(now)) => (read.dev(), read.ino()) == (now.dev(), now.ino()),
            _ => false,
        }
    }
}

/// Refuses to grow a file beyond `left` bytes: see [`size_limit`].
pub(super) struct Bounded<'a> {
    file: &'a File,
    left: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
