//! A folder of manifests, one an account and 1,000 a sub-folder, and the bare loop that reads it.
//!
//! In: how many. Out: files as people write them; some 6 of 7 accounts enabled, 2 of 3 with ActiveSync, so that a first
//! contact takes away as well as gives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The first accountId: 19 digits, as the service's are.
const FIRST_ACCOUNT: u64 = 2_560_636_000_000_000_000;

/// The first zuid.
const FIRST_USER: u64 = 600_000_000;

/// One account of the folder, by its number.
#[derive(Clone, Copy)]
pub struct Account(pub u64);

impl Account {
    pub const fn id(self) -> u64 {
        FIRST_ACCOUNT + self.0
    }

    pub const fn zuid(self) -> u64 {
        FIRST_USER + self.0
    }

    pub const fn enabled(self) -> bool {
        !self.0.is_multiple_of(7)
    }

    pub const fn active_sync(self) -> bool {
        !self.0.is_multiple_of(3)
    }

    fn path(self, root: &Path) -> PathBuf {
        let Self(number) = self;
        root.join(format!("{:04}/user-{number:06}.yaml", number / 1000))
    }

    fn manifest(self, active_sync: bool) -> String {
        let Self(number) = self;
        let (team, id, zuid, enabled) = (number % 37, self.id(), self.zuid(), self.enabled());
        format!(
            "apiVersion: zoho-mail-reconciler/v1\n\
             kind: MailAccount\n\
             metadata:\n  \
               name: user-{number:06}\n  \
               labels:\n    \
                 team: team-{team}\n\
             spec:\n  \
               accountId: {id}\n  \
               zuid: {zuid}\n  \
               email: user-{number:06}@example.com\n  \
               enabled: {enabled}\n  \
               activeSyncEnabled: {active_sync}\n"
        )
    }
}

/// The folder.
pub struct Folder {
    pub root: PathBuf,
    pub accounts: u64,
}

impl Folder {
    pub fn generate(root: PathBuf, accounts: u64) -> io::Result<Self> {
        for account in (0..accounts).map(Account) {
            if account.0 % 1000 == 0 {
                fs::create_dir_all(root.join(format!("{:04}", account.0 / 1000)))?;
            }
            fs::write(account.path(&root), account.manifest(account.active_sync()))?;
        }
        Ok(Self { root, accounts })
    }

    /// Replaces one manifest as a careful editor does: a temp file, renamed over it. Returns when the rename began.
    pub fn edit(&self, account: Account, active_sync: bool) -> io::Result<Instant> {
        let temp = self.root.join(".being-edited");
        fs::write(&temp, account.manifest(active_sync))?;
        let begun = Instant::now();
        fs::rename(temp, account.path(&self.root))?;
        Ok(begun)
    }
}

/// The least that anybody must do: list all, sort, read each. Returns how many bytes there were.
pub fn read_all(root: &Path) -> io::Result<usize> {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files.sort();
    let mut bytes = 0;
    for file in files {
        bytes += std::hint::black_box(fs::read(file)?).len();
    }
    Ok(bytes)
}
