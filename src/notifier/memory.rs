//! The file that remembers what was told: `ledger.json.notified`.
//!
//! In: the ledger's path, a [`Memory`]. Out: the same, read at start.
//! Invariants: the file is whole under its name or not there; a damaged one is forgotten, and that is said once; trouble
//! with it is told once and stops nobody. Deliberately absent: a sync of the folder. What a power cut forgets is told again.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;
use tracing::warn;

use crate::account::printable;
use crate::notice::Memory;
use crate::timestamp::Timestamp;

/// The most of the file that is read, in bytes: many times what is written.
const MAX_BYTES: u64 = 64 * 1024;

/// Where the memory is.
pub(super) struct Keeper {
    path: Arc<Path>,
    complained: AtomicBool,
}

impl Keeper {
    /// Beside the ledger.
    pub(super) fn beside(ledger: &Path) -> Self {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".notified");
        Self { path: PathBuf::from(name).into(), complained: AtomicBool::new(false) }
    }

    /// What was told; nothing, if nobody knows.
    pub(super) async fn read(&self, now: Timestamp) -> Memory {
        let path = Arc::clone(&self.path);
        let read = tokio::task::spawn_blocking(move || read(&path)).await.unwrap_or(Ok(None));
        let read = read.map_err(|error| error.to_string());
        match read.and_then(|bytes| bytes.map_or(Ok(Memory::default()), |bytes| Memory::from_bytes(&bytes, now))) {
            Ok(memory) => memory,
            Err(error) => {
                warn!(file = %printable::path(&self.path), error = %printable::escape(&error),
                    "what was notified before is forgotten: its file cannot be used");
                Memory::default()
            }
        }
    }

    /// Keeps `memory`.
    pub(super) async fn write(&self, memory: &Memory) {
        let (path, bytes) = (Arc::clone(&self.path), memory.to_bytes());
        let written = tokio::task::spawn_blocking(move || write(&path, &bytes)).await;
        let Ok(Err(error)) = written else { return };
        if !self.complained.swap(true, Ordering::Relaxed) {
            warn!(file = %printable::path(&self.path), %error,
                "what was notified cannot be kept: after a restart it may be told again");
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // A named pipe in the file's place must not hang whoever looks at it.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    match file {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(MAX_BYTES).read_to_end(&mut bytes).map(|_| Some(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}
